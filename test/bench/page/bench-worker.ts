/** The receiving node on IndexedDB, and what IndexedDB does by itself. */
import { openIdbStore } from '@plexus/store/idb'
import { idbCommitRate, verifyRate } from '../baselines.ts'
import { createReceiver, type Receiver } from '../receiver.ts'

export type BenchCall =
  | { readonly kind: 'eventBytes' }
  | { readonly kind: 'inbound' | 'commits' | 'checks'; readonly count: number }

export type BenchAnswer = { readonly value: number } | { readonly error: string }

let receiver: Promise<Receiver> | undefined

async function answer(call: BenchCall): Promise<number> {
  receiver ??= openIdbStore('plexus').then(createReceiver)
  switch (call.kind) {
    case 'eventBytes':
      return (await receiver).eventBytes
    case 'inbound':
      return (await receiver).run(call.count)
    case 'commits':
      return idbCommitRate('baseline', call.count)
    default:
      return verifyRate(call.count)
  }
}

addEventListener('message', ({ data }: MessageEvent<BenchCall>) => {
  answer(data).then(
    (value) => postMessage({ value } satisfies BenchAnswer),
    (error: unknown) => postMessage({ error: String(error) } satisfies BenchAnswer),
  )
})
