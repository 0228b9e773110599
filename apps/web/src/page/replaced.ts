/** What can be done with an account in a browser that it does not run in any more: nothing of it touches the network. */
import { serverOf } from '@plexus/core'
import type { Session } from '@plexus/engine/ports'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { AccountFile } from '../ui/model.ts'
import { exportFile } from './export.ts'
import { openClient, startClient } from './matrix-client.ts'
import { shortUserId } from './names.ts'
import { createNodeFetch } from './node-fetch.ts'

/** The export of what the node has, which answers as ever, but sends nothing. */
export async function exportReplaced(node: Bridge<NodeApi>, session: Session): Promise<AccountFile> {
  const { userId } = session
  const client = await openClient(session, createNodeFetch(node))
  try {
    await startClient(client)
    const name = (await client.getProfileInfo(userId)).displayname ?? shortUserId(userId)
    return await exportFile(node, client, { userId, name, server: serverOf(userId) })
  } finally {
    client.stopClient()
  }
}
