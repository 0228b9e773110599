/** A relay with mailboxes in the folder of its first argument, until it is killed. Prints where it is. */
import { join } from 'node:path'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore } from '@plexus/relay'
import { startRelayHere } from '../kit/p2p.ts'

const folder = process.argv[2] ?? ''
const store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 50_000_000 })
const { addresses } = await startRelayHere(folder, 0, { mail: { store, policy: DEFAULT_MAIL_POLICY } })
console.log(addresses[0])
