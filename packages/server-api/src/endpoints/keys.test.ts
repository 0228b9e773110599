/** Key documents: what anybody may ask, and what asking may cost. */
import type { JsonObject, ServerName } from '@plexus/core'
import { canonicalJson } from '@plexus/core'
import type { ServerKeys } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { fakeServer, START, testClock, textOfAnswer, type Raw } from '../testing/fixtures.ts'
import { alice, bob, get } from '../testing/endpoints.ts'

const OWN = { verify_keys: {}, server_name: 'b.example', old_verify_keys: {}, valid_until_ts: 1 }

/** Answers to a request that nobody signed. */
async function ask(raw: Raw, more: Partial<ServerKeys> = {}) {
  const asked: (readonly [ServerName, number])[] = []
  const keys: ServerKeys = {
    lookup: async () => [],
    watch: () => () => undefined,
    own: async () => OWN,
    notarised: async (servers) => {
      asked.push(...servers)
      return [OWN]
    },
    ...more,
  }
  const { handle, logged } = fakeServer(bob.name, testClock(), {}, { keys })
  const response = await handle({ request: { ...raw, destination: bob.name } })
  expect(logged).toEqual([])
  const text = textOfAnswer(response)
  return { status: response.status, text, body: JSON.parse(text) as JsonObject, asked }
}

const query = (server_keys: JsonObject): Raw => ({
  method: 'POST',
  uri: '/_matrix/key/v2/query',
  content: { server_keys },
})

describe('key documents', () => {
  it.each(['', '/', '/ed25519:auto'])(
    'are answered to anybody, as canonical JSON, at /server%s',
    async (end) => {
      const { status, text } = await ask(get(`/_matrix/key/v2/server${end}`))
      expect({ status, text }).toEqual({ status: 200, text: canonicalJson(OWN) })
    },
  )

  it('of another server are asked for by its name, until now or a later time', async () => {
    const uri = '/_matrix/key/v2/query/a.example%3A8448'
    const { status, text, asked } = await ask(get(uri))
    expect({ status, text }).toEqual({ status: 200, text: canonicalJson({ server_keys: [OWN] }) })
    expect(asked).toEqual([['a.example:8448', START]])
    expect((await ask(get(`${uri}?minimum_valid_until_ts=123`))).asked).toEqual([['a.example:8448', 123]])
  })

  it('of several servers are asked for with the latest time of their keys', async () => {
    const both = { 'ed25519:1': { minimum_valid_until_ts: 5 }, 'ed25519:2': { minimum_valid_until_ts: 7 } }
    const { status, asked } = await ask(query({ 'a.example': both, [alice.name]: {} }))
    expect(status).toBe(200)
    expect(asked).toEqual([
      ['a.example', 7],
      [alice.name, START],
    ])
  })

  it.each<[string, Raw, number, string]>([
    ['a name that is none', get('/_matrix/key/v2/query/a%20b'), 400, 'M_INVALID_PARAM'],
    [
      'a time that is none',
      get('/_matrix/key/v2/query/a.example?minimum_valid_until_ts=1e3'),
      400,
      'M_INVALID_PARAM',
    ],
    ['no servers', { method: 'POST', uri: '/_matrix/key/v2/query', content: {} }, 400, 'M_BAD_JSON'],
    ['a server that is no name', query({ 'a b': {} }), 400, 'M_BAD_JSON'],
    [
      'a time that is no integer',
      query({ 'a.example': { 'ed25519:1': { minimum_valid_until_ts: 0.5 } } }),
      400,
      'M_BAD_JSON',
    ],
    [
      'too many servers',
      query(Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`s${index}.example`, {}]))),
      400,
      'M_BAD_JSON',
    ],
    [
      'too many keys',
      query({ 'a.example': Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`ed25519:${i}`, {}])) }),
      400,
      'M_BAD_JSON',
    ],
  ])('are refused for %s', async (_, raw, status, errcode) => {
    const answer = await ask(raw)
    expect(answer).toMatchObject({ status, body: { errcode } })
    expect(answer.asked).toEqual([])
  })
})
