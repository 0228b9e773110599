/** A process that loads the store at the path of its first argument until it is killed, and prints what it acknowledged. */
import { writeSync } from 'node:fs'
import { openSqliteStore } from './sqlite.ts'
import { inspect, runLoad } from './testing/index.ts'

const STDOUT = 1
const store = await openSqliteStore(process.argv[2] ?? '')
const { last } = await inspect(store)
// Written at once into the pipe: nothing that was acknowledged stays behind in a buffer of the killed process.
await runLoad(store, {
  from: last + 1,
  random: Math.random,
  acknowledged: (number) => writeSync(STDOUT, `${number}\n`),
})
