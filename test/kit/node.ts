/** Whole nodes in memory, with keys of Node's own crypto. */
import { createTestVerifier, testSigner } from './keys.ts'
import { createVirtualClock } from './virtual-clock.ts'
import { createNetwork, createNode, type NodeInit, type TestNetwork, type TestNode } from './whole-node.ts'

export { quiet } from './whole-node.ts'
export type { Member, TestNetwork, TestNode } from './whole-node.ts'

/** `keys` stand in place of Ed25519 with the name key that `seed` makes. */
export type TestNodeInit = Omit<NodeInit, 'keys'> & Partial<Pick<NodeInit, 'keys'>>

export const keysOf = (seed: number): NodeInit['keys'] => ({
  signer: testSigner(seed),
  verifier: createTestVerifier(),
})

export function createTestNode(init: TestNodeInit): Promise<TestNode> {
  return createNode({ ...init, keys: init.keys ?? keysOf(init.seed) })
}

/** Nodes with one account each, all online. `seed` is of the first node, and so are the application services. */
export function createTestNetwork(
  localparts: readonly string[],
  seed = 1,
  {
    appServices,
    ...init
  }: Pick<TestNodeInit, 'appServices' | 'mail' | 'pushGateway' | 'maxWaitingLength'> = {},
): Promise<TestNetwork> {
  return createNetwork(localparts, createVirtualClock(), async (index) => ({
    ...init,
    seed: seed + index,
    keys: keysOf(seed + index),
    ...(index > 0 || appServices === undefined ? {} : { appServices }),
  }))
}
