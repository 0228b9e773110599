import type { Outbound, OutboundRequest, OutboundResponse } from '@plexus/daemon'
import { describe, expect, it } from 'vitest'
import { createPushGateway } from './push-gateway.ts'

const URL_OF_GATEWAY = 'https://push.example.org/_matrix/push/v1/notify'

function gatewayThat(status: number, text: string) {
  const asked: OutboundRequest[] = []
  const outbound: Outbound = {
    request(_url, request) {
      asked.push(request)
      const answer: OutboundResponse = {
        status,
        headers: {},
        bytes: new TextEncoder().encode(text),
        url: new URL(URL_OF_GATEWAY),
      }
      return Promise.resolve(answer)
    },
  }
  return { gateway: createPushGateway(outbound), asked }
}

describe('a push gateway over HTTP', () => {
  it('is posted JSON, and redirects are not followed', async () => {
    const { gateway, asked } = gatewayThat(200, '{"rejected":["a",7]}')
    expect(await gateway.notify(URL_OF_GATEWAY, { a: 1 })).toEqual({ status: 200, rejected: ['a'] })
    expect(asked).toMatchObject([{ method: 'POST', body: '{"a":1}' }])
    expect(asked[0]?.maxRedirects).toBeUndefined()
  })

  it.each<[number, string]>([
    [200, ''],
    [200, 'nonsense'],
    [200, '[]'],
    [200, '{"rejected":"a"}'],
    [500, '{"rejected":["a"]}'],
  ])('rejects nothing with %i %s', async (status, text) => {
    const { gateway } = gatewayThat(status, text)
    expect(await gateway.notify(URL_OF_GATEWAY, {})).toEqual({ status, rejected: [] })
  })
})
