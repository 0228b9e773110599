/** Finds the endpoint of a method and path: a tree of path segments, literal ones before parameters. */
import type { Endpoint, Method, Parameters } from './endpoint.ts'

/** Segments of a path that are looked at; no template has more. */
export const MAX_SEGMENTS = 16

/** What began with `r0` begins with `v3` since v1.1, and clients older than that still ask so. */
const V3 = '/_matrix/client/v3/'
const R0 = '/_matrix/client/r0/'

type Node = {
  readonly literal: Map<string, Node>
  parameter?: Node
  /** Endpoints that end here by method, each with the names of its parameters in order. */
  readonly ends: Map<string, { readonly endpoint: Endpoint; readonly names: readonly string[] }>
}

export type Route =
  | { readonly kind: 'found'; readonly endpoint: Endpoint; readonly parameters: Parameters }
  | { readonly kind: 'wrongMethod'; readonly allowed: readonly string[] }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'badEncoding' }

export interface Router {
  route(method: string, pathname: string): Route
}

const emptyNode = (): Node => ({ literal: new Map(), ends: new Map() })

/** @throws when two endpoints claim the same method and path: a fault of the program, found when it starts. */
export function createRouter(endpoints: readonly Endpoint[]): Router {
  const root = emptyNode()
  for (const endpoint of endpoints) {
    for (const template of endpoint.templates) {
      insert(root, template, endpoint)
      if (template.startsWith(V3)) insert(root, template.replace(V3, R0), endpoint)
    }
  }
  return {
    route(method, pathname) {
      const raw = segmentsOf(pathname)
      if (raw.length > MAX_SEGMENTS) return { kind: 'unknown' }
      const segments = decodeAll(raw)
      if (segments === undefined) return { kind: 'badEncoding' }
      const allowed = new Set<string>()
      const found = find(root, segments, 0, [], method, allowed)
      if (found !== undefined) return found
      return allowed.size > 0 ? { kind: 'wrongMethod', allowed: [...allowed].sort() } : { kind: 'unknown' }
    },
  }
}

function insert(root: Node, template: string, endpoint: Endpoint): void {
  let node = root
  const names: string[] = []
  for (const segment of segmentsOf(template)) {
    if (segment.startsWith('{')) {
      names.push(segment.slice(1, -1))
      node = node.parameter ??= emptyNode()
    } else {
      const next = node.literal.get(segment) ?? emptyNode()
      node.literal.set(segment, next)
      node = next
    }
  }
  const method: Method = endpoint.method
  if (node.ends.has(method)) throw new Error(`two endpoints for ${method} ${template}`)
  node.ends.set(method, { endpoint, names })
}

function find(
  node: Node,
  segments: readonly string[],
  index: number,
  values: readonly string[],
  method: string,
  allowed: Set<string>,
): Route | undefined {
  const segment = segments[index]
  if (segment === undefined) {
    for (const one of node.ends.keys()) allowed.add(one)
    const end = node.ends.get(method)
    if (end === undefined) return undefined
    const parameters = Object.fromEntries(end.names.map((name, at) => [name, values[at] ?? '']))
    return { kind: 'found', endpoint: end.endpoint, parameters }
  }
  const literal = node.literal.get(segment)
  if (literal !== undefined) {
    const found = find(literal, segments, index + 1, values, method, allowed)
    if (found !== undefined) return found
  }
  if (node.parameter === undefined || segment === '') return undefined
  return find(node.parameter, segments, index + 1, [...values, segment], method, allowed)
}

/** Without the leading slash, and without one trailing slash. */
function segmentsOf(pathname: string): readonly string[] {
  const segments = pathname.split('/')
  segments.shift()
  if (segments.length > 1 && segments.at(-1) === '') segments.pop()
  return segments
}

function decodeAll(segments: readonly string[]): readonly string[] | undefined {
  try {
    return segments.map((segment) => decodeURIComponent(segment))
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}
