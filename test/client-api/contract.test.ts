/** Every operation of the rooms endpoints, in success and in failure; each answer is checked against its definition. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSpecValidator } from '../kit/spec-validation.ts'
import { createRoom } from './contract/create-room.ts'
import { directory } from './contract/directory.ts'
import { membership } from './contract/membership.ts'
import { reading } from './contract/reading.ts'
import { sending } from './contract/sending.ts'
import { begin, coverage, network } from './contract/world.ts'

beforeAll(begin)

afterAll(() => network.close())

createRoom()
membership()
sending()
reading()
directory()

describe('coverage', () => {
  /** The files of the specification that the rooms endpoints implement. */
  const FILES = new Set(
    (
      'sync create_room joining knocking inviting leaving kicking banning room_send redaction rooms room_state ' +
      'message_pagination event_context relations room_event_by_timestamp receipts read_markers typing directory ' +
      'list_public_rooms list_joined_rooms room_initial_sync'
    )
      .split(' ')
      .map((name) => `data/api/client-server/${name}.yaml`),
  )

  it('each operation succeeds and fails in a test above', () => {
    const operations = createSpecValidator()
      .operations('client-server')
      // The path of third-party invites ends in a blank there; they are refused.
      .filter(({ file, template }) => FILES.has(file) && !template.endsWith(' '))
      .map(({ method, template }) => `${method} ${template}`)
    const statuses = (name: string): readonly number[] => [...(coverage.get(name) ?? [])]
    expect(operations.length).toBeGreaterThan(35)
    // Nobody can knock yet.
    const neverWorks = 'POST /_matrix/client/v3/knock/{roomIdOrAlias}'
    expect(operations.filter((name) => name !== neverWorks && !statuses(name).includes(200))).toEqual([])
    expect(operations.filter((name) => !statuses(name).some((status) => status >= 400))).toEqual([])
    expect([...coverage.values()].some((seen) => seen.has(500))).toBe(false)
  })
})
