/** The frame of the tests of a subject: rooms of three versions, made on either side. */
import { afterAll, beforeAll, describe } from 'vitest'
import { type Pair, startPair, synapsePython } from './homeserver.ts'
import { type Person, person } from './person.ts'

const VERSIONS: readonly string[] = ['10', '11', '12']

/** Getters: what they tell is there once the tests run. */
export interface Setting {
  readonly version: string
  readonly pair: Pair
  /** Makes the rooms. */
  readonly owner: Person
  /** On the other server. */
  readonly guest: Person
}

/** Defines the tests of a subject once for each version and side, on one pair of servers. */
export function scenario(subject: string, define: (setting: Setting) => void): void {
  let pair: Pair
  describe.skipIf(synapsePython === undefined)(`${subject} with Synapse`, () => {
    beforeAll(async () => {
      pair = await startPair()
    })
    afterAll(() => pair[Symbol.asyncDispose]())
    const cases = VERSIONS.flatMap((version) =>
      (['plexus', 'synapse'] as const).map((maker) => ({ version, maker })),
    )
    describe.each(cases)('in a room of version $version made on $maker', ({ version, maker }) => {
      let owner: Person
      let guest: Person
      beforeAll(async () => {
        owner = await person(pair[maker], `owner-${version}-${maker}`)
        guest = await person(pair[maker === 'plexus' ? 'synapse' : 'plexus'], `guest-${version}-${maker}`)
      })
      define({
        version,
        get pair() {
          return pair
        },
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
