/** Media by the Client-Server API: safe headers, bounds, reserved ids, other servers' media. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestNetwork, createTestNode } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'

const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3])

describe('media', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  const tokens = new Map<string, string>()

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    for (const { node, user, deviceId } of [alice, bob]) {
      tokens.set(user, (await node.engine.users.accounts.openSession(user, { deviceId })).accessToken)
    }
  })
  afterEach(() => network.close())

  type Ask = { readonly body?: BodyInit; readonly headers?: Readonly<Record<string, string>> }

  const ask = (member: Member, method: string, path: string, init: Ask = {}): Promise<Response> =>
    member.node.clientApi(
      new Request(`http://node/_matrix/${path}`, {
        method,
        ...init,
        headers: { Authorization: `Bearer ${tokens.get(member.user) ?? ''}`, ...init.headers },
      }),
    )
  const refusal = async (response: Response): Promise<unknown[]> => [
    response.status,
    ((await response.json()) as { errcode: string }).errcode,
  ]
  const upload = async (member: Member, body: BodyInit, contentType: string, name = ''): Promise<string> => {
    const query = name === '' ? '' : `?filename=${encodeURIComponent(name)}`
    const init = { body, headers: { 'Content-Type': contentType } }
    const answer = await ask(member, 'POST', `media/v3/upload${query}`, init)
    const { content_uri } = (await answer.json()) as { content_uri: string }
    expect(content_uri).toMatch(/^mxc:\/\/[^/]+\/[A-Za-z0-9_-]+$/)
    return content_uri.slice('mxc://'.length)
  }
  const download = (member: Member, place: string): Promise<Response> =>
    ask(member, 'GET', `client/v1/media/download/${place}`)

  it('comes back as it went in, with headers that keep browsers from running it', async () => {
    const place = await upload(alice, PNG, 'image/png', 'a "photo".png')
    const answer = await download(alice, place)
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(PNG)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(PNG.length),
      'content-disposition': String.raw`inline; filename="a \"photo\".png"`,
      'content-security-policy': expect.stringContaining('sandbox'),
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    })
  })

  it.each([
    ['text/html', 'attachment'],
    ['image/svg+xml', 'attachment'],
    ['text/plain; charset=utf-8', 'inline'],
    ['IMAGE/PNG', 'inline'],
    ['nonsense', 'attachment'],
  ])('of type %s is shown as %s', async (type, disposition) => {
    const answer = await download(alice, await upload(alice, '<script>', type))
    expect(answer.headers.get('content-disposition')).toBe(disposition)
    expect(answer.headers.get('content-type')).toBe(type === 'nonsense' ? 'application/octet-stream' : type)
  })

  it('takes a name from the path, whatever it is made of', async () => {
    const place = await upload(alice, PNG, 'image/png')
    const name = encodeURIComponent('Grüße\r\n"; x=*.png')
    const answer = await download(alice, `${place}/${name}`)
    expect(answer.headers.get('content-disposition')).toBe(
      `inline; filename*=UTF-8''Gr%C3%BC%C3%9Fe__%22%3B%20x%3D%2A.png`,
    )
  })

  it('of another server is fetched once and kept', async () => {
    const place = await upload(bob, PNG, 'image/png', 'bob.png')
    const answers = await Promise.all([download(alice, place), download(alice, place)])
    for (const answer of answers) expect(new Uint8Array(await answer.arrayBuffer())).toEqual(PNG)
    network.loopback.offline(bob.node.name)
    const again = await download(alice, place)
    expect(again.headers.get('content-disposition')).toBe('inline; filename="bob.png"')
    expect(network.loopback.log.filter(({ uri }) => uri.includes('/media/download/'))).toHaveLength(1)
  })

  it('of another server is fetched anew once it is forgotten; own media is not', async () => {
    const [own, place] = [await upload(alice, PNG, 'image/png'), await upload(bob, PNG, 'image/png')]
    const { control } = alice.node.engine
    const asked = (): number =>
      network.loopback.log.filter(({ uri }) => uri.includes('/media/download/')).length
    await download(alice, place)
    await control.forgetMedia(bob.node.name, place.split('/')[1] ?? '')
    expect(new Uint8Array(await (await download(alice, place)).arrayBuffer())).toEqual(PNG)
    expect(asked()).toBe(2)
    await control.forgetMedia(alice.node.name, own.split('/')[1] ?? '')
    expect((await download(alice, own)).status).toBe(200)
  })

  it('that is nowhere is not found', async () => {
    expect(await refusal(await download(alice, `${alice.node.name}/none`))).toEqual([404, 'M_NOT_FOUND'])
    expect(await refusal(await download(alice, `${bob.node.name}/none`))).toEqual([404, 'M_NOT_FOUND'])
    for (const id of ['..%2F..%2Fetc', 'a.b', '%00']) {
      expect(await refusal(await download(alice, `${alice.node.name}/${id}`))).toEqual([404, 'M_NOT_FOUND'])
    }
    const badServer = await download(alice, 'not a server!/abc')
    expect(await refusal(badServer)).toEqual([400, 'M_INVALID_PARAM'])
    network.loopback.offline(bob.node.name)
    expect((await download(alice, `${bob.node.name}/away`)).status).toBe(502)
  })

  it('is for users of this node', async () => {
    const place = await upload(alice, PNG, 'image/png')
    const stranger = (path: string): Promise<Response> =>
      alice.node.clientApi(new Request(`http://node/_matrix/${path}`))
    expect(await refusal(await stranger(`client/v1/media/download/${place}`))).toEqual([
      401,
      'M_MISSING_TOKEN',
    ])
    // The old endpoints are frozen for those without a token.
    expect(await refusal(await stranger(`media/v3/download/${place}`))).toEqual([404, 'M_NOT_FOUND'])
    expect((await ask(alice, 'GET', `media/v3/download/${place}/name.png`)).status).toBe(200)
    const remote = await upload(bob, PNG, 'image/png')
    const local = await ask(alice, 'GET', `media/v3/download/${remote}?allow_remote=false`)
    expect(await refusal(local)).toEqual([404, 'M_NOT_FOUND'])
  })

  it('stands in for its thumbnail when it is a small image', async () => {
    const thumbnail = (member: Member, place: string, query = 'width=32&height=32&method=crop') =>
      ask(member, 'GET', `client/v1/media/thumbnail/${place}?${query}`)
    const image = await upload(alice, PNG, 'image/png')
    expect(new Uint8Array(await (await thumbnail(alice, image)).arrayBuffer())).toEqual(PNG)
    const text = await upload(alice, 'text', 'text/plain')
    expect(await refusal(await thumbnail(alice, text))).toEqual([400, 'M_UNKNOWN'])
    const large = await upload(alice, new Uint8Array(1024 * 1024 + 1), 'image/png')
    expect(await refusal(await thumbnail(alice, large))).toEqual([413, 'M_TOO_LARGE'])
    expect(await refusal(await thumbnail(alice, image, 'width=0&height=32'))).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(await refusal(await thumbnail(alice, image, 'width=32'))).toEqual([400, 'M_MISSING_PARAM'])
  })

  it('of another server that is too large is not passed on', async () => {
    const { maxUploadBytes } = alice.node.engine.users.media
    const larger = await createTestNode({
      loopback: network.loopback,
      clock: network.clock,
      seed: 9,
      users: { maxUploadBytes: maxUploadBytes + 100_000 },
    })
    const { userId } = await larger.signUp('dora')
    const bytes = new Uint8Array(maxUploadBytes + 100_000)
    const id = await larger.engine.users.media.upload(userId, bytes, { contentType: 'image/png' })
    for (const path of ['download', 'thumbnail']) {
      const query = '?width=32&height=32'
      const answer = await ask(alice, 'GET', `client/v1/media/${path}/${larger.name}/${id}${query}`)
      expect(await refusal(answer)).toEqual([502, 'M_TOO_LARGE'])
    }
    await larger.close()
  })

  it('is bounded in size, and says so', async () => {
    const config = (await (await ask(alice, 'GET', 'client/v1/media/config')).json()) as Record<
      string,
      number
    >
    const max = config['m.upload.size'] ?? 0
    expect(max).toBe(alice.node.engine.users.media.maxUploadBytes)
    const headers = { 'Content-Length': String(max + 1) }
    const answer = await ask(alice, 'POST', 'media/v3/upload', { body: 'x', headers })
    expect(await refusal(answer)).toEqual([413, 'M_TOO_LARGE'])
  })

  describe('on a reserved id', () => {
    const create = async (): Promise<string> => {
      const answer = (await (await ask(alice, 'POST', 'media/v1/create')).json()) as Record<string, string>
      expect(Number(answer['unused_expires_at'])).toBeGreaterThan(network.clock.now())
      return (answer['content_uri'] ?? '').slice('mxc://'.length)
    }
    const put = (member: Member, place: string): Promise<Response> =>
      ask(member, 'PUT', `media/v3/upload/${place}`, { body: PNG, headers: { 'Content-Type': 'image/png' } })

    it('is uploaded once, by who reserved it', async () => {
      const place = await create()
      expect((await put(alice, place)).status).toBe(200)
      expect(await refusal(await put(alice, place))).toEqual([409, 'M_CANNOT_OVERWRITE_MEDIA'])
      expect(await refusal(await put(alice, `${alice.node.name}/none`))).toEqual([404, 'M_NOT_FOUND'])
      expect(await refusal(await put(bob, place))).toEqual([403, 'M_FORBIDDEN'])
      const { users } = alice.node.engine
      const carol = await users.accounts.register({ localpart: 'carol' })
      const foreign = users.media.complete(carol, (await create()).split('/')[1] ?? '', PNG, {})
      await expect(foreign).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    })

    it('is waited for, a bounded time', async () => {
      const place = await create()
      const waiting = download(alice, place)
      await network.settle()
      await put(alice, place)
      expect((await waiting).status).toBe(200)
      const late = download(alice, await create())
      await network.settle()
      await network.clock.advance(20_000)
      expect(await refusal(await late)).toEqual([504, 'M_NOT_YET_UPLOADED'])
      const now = await download(alice, `${await create()}?timeout_ms=0`)
      expect(now.status).toBe(504)
    })

    it('is waited for on another server too', async () => {
      const place = await create()
      const waiting = download(bob, place)
      await network.settle()
      await put(alice, place)
      await network.settle()
      expect((await waiting).status).toBe(200)
      const now = download(bob, `${await create()}?timeout_ms=0`)
      await network.settle()
      expect(await refusal(await now)).toEqual([504, 'M_NOT_YET_UPLOADED'])
    })

    it('expires, and only so many are open', async () => {
      const place = await create()
      for (let open = 1; open < 50; open += 1) await create()
      expect(await refusal(await ask(alice, 'POST', 'media/v1/create'))).toEqual([429, 'M_LIMIT_EXCEEDED'])
      await network.clock.advance(25 * 60 * 60 * 1000)
      expect(await refusal(await put(alice, place))).toEqual([403, 'M_FORBIDDEN'])
      expect(await refusal(await download(alice, place))).toEqual([404, 'M_NOT_FOUND'])
      await create()
    })
  })
})
