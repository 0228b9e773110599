/** Starts the worker that holds the node, and the bridge to it. */
import workerUrl from '../worker/node.ts?worker&url'
import type { NodeApi, PageApi } from '../bridge/api.ts'
import { createBridge, type Bridge } from '../bridge/bridge.ts'
import { scriptUrl } from './trusted-script.ts'

export type NodeWorker = {
  readonly node: Bridge<NodeApi>
  /** Ends the worker at once. What it acknowledged is on disk. */
  stop(reason: string): void
}

/** `page` answers the worker; `failed` is called when the worker's code cannot run. */
export function startNodeWorker(page: PageApi, failed: (message: string) => void): NodeWorker {
  const worker = new Worker(scriptUrl(workerUrl), { type: 'module', name: 'plexus-node' })
  const node = createBridge<NodeApi>(worker, page)
  worker.addEventListener('error', (event) => {
    event.preventDefault()
    node.close('the node stopped')
    failed(event.message)
  })
  return {
    node,
    stop(reason) {
      node.close(reason)
      worker.terminate()
    },
  }
}
