import { CarrierError } from '@plexus/engine/ports'
import type { SignedAccountRecord, Tombstone } from '@plexus/core/names'
import { nameOfKey } from '@plexus/core/names'
import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { inviteById } from './invite-by-id.ts'

// The base point's encoding: a sound key.
const name = nameOfKey(Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 0x58 : 0x66)))
const userId = `@bob:${name}`
const recordWith = (tombstone?: Tombstone): SignedAccountRecord => ({
  record: {
    name,
    sequence: 1,
    expires: 1,
    mailboxes: [],
    devices: [],
    sealingKeys: [],
    ...(tombstone === undefined ? {} : { tombstone }),
  },
  signature: '',
})

function start(found: SignedAccountRecord | undefined, fault?: Error, isConnected = false) {
  const steps: string[] = []
  const asked: ServerName[] = []
  const invited: string[] = []
  const deps = {
    isConnected: () => isConnected,
    async find(server: ServerName) {
      asked.push(server)
      return found
    },
    async invite(id: string) {
      invited.push(id)
      if (fault !== undefined) throw fault
    },
  }
  const run = (typed: string): Promise<void> => inviteById(deps, typed, (words) => steps.push(words))
  return { run, steps, asked, invited }
}

const away = new CarrierError('unreachable', 'nobody')

describe('an invite by user id', () => {
  it('looks for the node, then invites', async () => {
    const { run, steps, asked, invited } = start(recordWith())
    await run(` ${userId} `)
    expect({ steps, asked, invited }).toEqual({
      steps: ['Looking for their node', 'Inviting'],
      asked: [name],
      invited: [userId],
    })
  })

  it('looks for nobody who is connected, or whom DNS finds', async () => {
    for (const [typed, isConnected] of [
      [userId, true],
      ['@bob:example.org', false],
    ] as const) {
      const { run, asked, invited } = start(undefined, undefined, isConnected)
      await run(typed)
      expect([asked, invited]).toEqual([[], [typed]])
    }
  })

  it.each<[string, SignedAccountRecord | undefined, Error | undefined, string]>([
    ['nobody is found', undefined, away, 'Nobody was found'],
    ['they are away', recordWith(), away, 'their Plexus is closed'],
    ['they refuse', recordWith(), new Error('not allowed'), 'not allowed'],
    ['the account is dead', recordWith('dead'), undefined, 'given up'],
    ['they have moved', recordWith({ movedTo: 'x.example' as ServerName }), undefined, 'moved to x.example'],
  ])('says so when %s', async (_what, found, fault, words) => {
    await expect(start(found, fault).run(userId)).rejects.toThrow(words)
  })

  it('wants a user id', async () => {
    const { run, asked, invited } = start(undefined)
    await expect(run('bob')).rejects.toThrow('A user id looks like')
    expect([asked, invited]).toEqual([[], []])
  })
})
