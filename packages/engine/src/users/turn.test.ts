import { createHmac } from 'node:crypto'
import { parseUserId } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createTurn } from './turn.ts'

const ANN = parseUserId('@ann:example.org') as UserId
const clock = { now: () => 1_443_693_379_999, after: () => () => undefined }

describe('credentials of a TURN server', () => {
  it('are what the server makes of the same secret, good for their lifetime', () => {
    const uris = ['turn:turn.example.com:3478?transport=udp']
    const turn = createTurn(clock, { uris, secret: 'north', lifetimeSeconds: 86_400 })
    // The user name of the specification's example.
    const username = '1443779779:@ann:example.org'
    const password = createHmac('sha1', 'north').update(username).digest('base64')
    expect(turn.credentials(ANN)).toEqual({ username, password, uris, ttl: 86_400 })
  })

  it('are none without a server', () => {
    expect(createTurn(clock).credentials(ANN)).toBeUndefined()
    expect(createTurn(clock, { uris: [], secret: 'x', lifetimeSeconds: 1 }).credentials(ANN)).toBeUndefined()
  })
})
