/** The contract of the Client-Server API, with nodes in memory. */
import { keysOf } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import { contract } from './contract/index.ts'

contract({
  clock: createVirtualClock(),
  initOf: async (index) => ({ seed: 1 + index, keys: keysOf(1 + index) }),
})
