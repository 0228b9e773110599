import { describe, expect, it } from 'vitest'
import { ApiError } from './answer.ts'
import { uriOf } from './call.ts'
import type { Endpoint } from './request.ts'
import { createRouter } from './router.ts'

const endpoint = (method: Endpoint<undefined>['method'], path: string): Endpoint<undefined> => ({
  method,
  path,
  handle: async () => ({ json: {} }),
})

const router = createRouter([
  endpoint('GET', '/a/{x}/b/{y}'),
  endpoint('PUT', '/a/{x}'),
  endpoint('GET', '/a/b'),
])

const refusalOf = (method: string, uri: string): { status: number; errcode: string } => {
  try {
    router.route(method, uri)
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, errcode: error.errcode }
    throw error
  }
  throw new Error('it was routed')
}

describe('createRouter', () => {
  it('decodes path and query', () => {
    const uri = uriOf('/a/{x}/b/{y}', { x: '!r/o?o#m:s', y: '$ä' }, [
      ['v', 'a&b'],
      ['v', 'c d'],
    ])
    const { path, query } = router.route('GET', uri)
    expect(path).toEqual({ x: '!r/o?o#m:s', y: '$ä' })
    expect(query.getAll('v')).toEqual(['a&b', 'c d'])
  })

  it.each([
    ['GET', '/a', 404, 'M_UNRECOGNIZED'],
    ['GET', '/a/x/b/y/', 404, 'M_UNRECOGNIZED'],
    ['GET', '/a/x/b', 404, 'M_UNRECOGNIZED'],
    ['GET', '/A/x/b/y', 404, 'M_UNRECOGNIZED'],
    ['PUT', '/a/x/b/y', 405, 'M_UNRECOGNIZED'],
    ['GET', '/a/%ff/b/y', 400, 'M_INVALID_PARAM'],
    ['GET', '/a/%/b/y', 400, 'M_INVALID_PARAM'],
  ])('refuses %s %s with %i', (method, uri, status, errcode) => {
    expect(refusalOf(method, uri)).toEqual({ status, errcode })
  })

  it('does not build a path whose segment would name another path', () => {
    for (const x of ['', '.', '..']) expect(() => uriOf('/a/{x}', { x })).toThrow('no such name')
  })
})
