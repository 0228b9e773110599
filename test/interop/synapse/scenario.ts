/** The frame of the tests of a subject: rooms of three versions, made on either side. */
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { type Homeserver, startServers } from './homeserver.ts'
import { type Person, person } from './person.ts'

const VERSIONS: readonly string[] = ['10', '11', '12']

/** Getters: what they tell is there once the tests run. */
export interface Setting {
  readonly version: string
  /** Makes the rooms. */
  readonly owner: Person
  /** On the other server. */
  readonly guest: Person
}

/**
 * Defines the tests of a subject once for each version and side, on one pair of servers. `INTEROP_PAIR=synapse` in the
 * environment puts a second Synapse in the place of Plexus: what fails then is a fault of the test.
 */
export function scenario(subject: string, define: (setting: Setting) => void): void {
  const python = inject('synapsePython')
  const first = process.env['INTEROP_PAIR'] === 'synapse' ? 'synapse' : 'plexus'
  let started: Awaited<ReturnType<typeof startServers>>
  describe.skipIf(python === undefined)(`${subject} with Synapse`, () => {
    beforeAll(async () => {
      started = await startServers([first, 'synapse'], python ?? '')
    })
    afterAll(() => started.stop())
    const cases = VERSIONS.flatMap((version) =>
      (['plexus', 'synapse'] as const).map((maker) => ({ version, maker })),
    )
    describe.each(cases)('in a room of version $version made on $maker', ({ version, maker }) => {
      let owner: Person
      let guest: Person
      beforeAll(async () => {
        const [plexus, synapse] = started.servers as [Homeserver, Homeserver]
        const [home, away] = maker === 'plexus' ? [plexus, synapse] : [synapse, plexus]
        owner = await person(home, `owner-${version}-${maker}`)
        guest = await person(away, `guest-${version}-${maker}`)
      })
      define({
        version,
        get owner() {
          return owner
        },
        get guest() {
          return guest
        },
      })
    })
  })
}
