/** Starts the worker, which must belong to a page as the app's does. */
import type { BenchCall, BenchAnswer } from './bench-worker.ts'

const worker = new Worker(new URL('bench-worker.ts', import.meta.url), { type: 'module' })
const broken = new Promise<never>((_, reject) => {
  worker.addEventListener('error', ({ message }) => reject(new Error(message)))
})

/** Calls the worker; one call at a time. */
async function call(message: BenchCall): Promise<number> {
  const answered = new Promise<BenchAnswer>((resolve) => {
    worker.addEventListener('message', ({ data }: MessageEvent<BenchAnswer>) => resolve(data), { once: true })
  })
  worker.postMessage(message, [])
  const answer = await Promise.race([answered, broken])
  if ('error' in answer) throw new Error(answer.error)
  return answer.value
}

export type BenchPage = { readonly call: typeof call }

const plexusBench: BenchPage = { call }
Object.assign(window, { plexusBench })
