/** A fetch for stock clients that compares what a node answers with the official definitions. */
import { createSpecValidator } from './spec-validation.ts'

type Fetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>

export interface ValidatedFetch {
  readonly fetch: Fetch
  /** Answers that break the specification, and faults of the node, with what was asked. */
  readonly problems: readonly string[]
  /** Method and template of what was asked: the endpoints of the specification that a client used. */
  readonly asked: ReadonlySet<string>
}

export function validatedFetch(serve: Fetch): ValidatedFetch {
  const validator = createSpecValidator()
  const problems: string[] = []
  const asked = new Set<string>()
  return {
    problems,
    asked,
    async fetch(input, init) {
      const request = new Request(input, init)
      const { method } = request
      const { pathname } = new URL(request.url)
      const response = await serve(request)
      const name = `${method} ${validator.find('client-server', method, pathname)?.template ?? pathname}`
      asked.add(name)
      if (response.status >= 500) problems.push(`${name}: ${response.status}`)
      if (response.headers.get('content-type')?.startsWith('application/json') === true) {
        const body: unknown = await response.clone().json()
        const found = validator.problems('client-server', method, pathname, response.status, body) ?? []
        problems.push(...found.map((problem) => `${name} ${response.status}: ${problem}`))
      }
      return response
    },
  }
}
