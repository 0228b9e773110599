/** The node's place in a tab, reduced to its store: a worker that checks what it finds and then commits until its end. */
import { openIdbStore } from '@plexus/store/idb'
import { inspect, runLoad } from '@plexus/store/testing'

export type Report =
  | { readonly kind: 'found'; readonly last: number; readonly problems: readonly string[] }
  | { readonly kind: 'acknowledged'; readonly last: number }
  | { readonly kind: 'failed'; readonly error: string }

const report = (message: Report): void => postMessage(message)

async function run(): Promise<void> {
  const store = await openIdbStore('plexus')
  const findings = await inspect(store)
  report({ kind: 'found', ...findings })
  await runLoad(store, {
    from: findings.last + 1,
    random: Math.random,
    acknowledged: (last) => report({ kind: 'acknowledged', last }),
  })
}

run().catch((cause: unknown) => report({ kind: 'failed', error: String(cause) }))
