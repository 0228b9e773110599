/**
 * `GET /sync` with long-polling.
 *
 * Invariants: nothing above the committed position is read; an answer's token stands after all that the answer shows
 * and before all that it does not; to-device messages are deleted once their device comes back with a later token.
 */
import type { JsonObject } from '@plexus/core'
import { START, assemble } from './assemble.ts'
import { createClientEvents } from './client-event.ts'
import { createLazyMembers } from './lazy-members.ts'
import { createRoomMembers } from './room-members.ts'
import type { SectionDeps } from './room-sections.ts'
import type { SyncToken } from './tokens.ts'
import { formatSyncToken } from './tokens.ts'
import type { Sync, SyncDeps, SyncRequest } from './types.ts'
import { createUnread } from './unread.ts'
import { createVisibility } from './visibility.ts'

/** What the two kinds of sync share. */
export function createSections(deps: SyncDeps): SectionDeps {
  const { rooms, clock } = deps
  const visibility = createVisibility(rooms)
  return {
    ...deps,
    visibility,
    clientEvents: createClientEvents({ rooms, clock, visibility }),
    members: createRoomMembers(rooms),
    unread: createUnread(deps),
  }
}

export function createSync(sections: SectionDeps): Sync {
  const { committer, users, polls } = sections
  const lazyMembers = createLazyMembers()

  const poll = async (request: SyncRequest, since: SyncToken | undefined): Promise<JsonObject> => {
    const lazy = lazyMembers.begin(
      request.recipient,
      since === undefined ? undefined : formatSyncToken(since),
    )
    let from = since ?? START
    const { recipient, signal } = request
    const timeoutMs = since === undefined || request.fullState ? 0 : request.timeoutMs
    const { body, token } = await polls.until(recipient.userId, timeoutMs, signal, async () => {
      const { empty, ...answer } = await assemble(sections, request, from, lazy)
      from = answer.token
      return { answer, empty }
    })
    lazy.finish(formatSyncToken(token))
    return body
  }

  return {
    async sync(request) {
      request.signal?.throwIfAborted()
      const { recipient } = request
      // A token of a future that was lost with the store: the client starts again.
      const since =
        request.since !== undefined && request.since.position <= committer.committed
          ? request.since
          : undefined
      if (since !== undefined && request.keepsInbox !== true)
        await users.toDevice.acknowledge(recipient, since.toDevice)
      return poll(request, since)
    },
    get now() {
      const position = committer.committed
      return { position, serial: sections.serial.current, toDevice: position }
    },
  }
}
