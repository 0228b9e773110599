/** A relay with mailboxes in the folder of its first argument, until it is stopped. Prints where it is. */
import { join } from 'node:path'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore } from '@plexus/relay'
import { startRelayHere } from './p2p.ts'

const folder = process.argv[2] ?? ''
// As much as the test leaves from its one address.
const policy = { ...DEFAULT_MAIL_POLICY, depositsPerSecond: 1_000_000, depositBurst: 1_000_000 }
const store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 10_000_000_000 })
const { addresses } = await startRelayHere(folder, 0, { mail: { store, policy } })
console.log(addresses[0])
