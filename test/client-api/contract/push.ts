/** spec: client-server-api/modules/push.md */
import { beforeAll, describe, expect, it } from 'vitest'
import { at, list, pick, text, type ApiClient } from '../../kit/api-client.ts'
import { newcomer } from './world.ts'

export function push(): void {
  let api: ApiClient

  beforeAll(async () => {
    api = await newcomer('judy')
  })

  describe('push rules', () => {
    const rule = (kind: string, id: string): string => at`v3/pushrules/global/${kind}/${id}`
    const ids = async (kind: string): Promise<unknown[]> =>
      list(await api.ok('GET', 'v3/pushrules/'), 'global', kind).map(({ rule_id }) => rule_id)

    it('are put in their places', async () => {
      const body = { actions: ['notify'], conditions: [] }
      await api.ok('PUT', rule('override', 'one'), { body })
      await api.ok('PUT', rule('override', 'two'), { body })
      await api.ok('PUT', rule('override', 'before'), { body, query: { before: 'one' } })
      await api.ok('PUT', rule('override', 'after'), { body, query: { after: 'one' } })
      const found = await ids('override')
      expect(found.slice(0, 5)).toEqual(['.m.rule.master', 'two', 'before', 'one', 'after'])
      expect(found).toContain('.m.rule.suppress_notices')
      await api.ok('PUT', rule('override', 'after'), { body, query: { before: 'two' } })
      expect((await ids('override')).slice(0, 5)).toEqual(['.m.rule.master', 'after', 'two', 'before', 'one'])
      const lost = api.fails('PUT', rule('override', 'x'), { body, query: { before: 'none' } })
      expect(await lost).toEqual([404, 'M_NOT_FOUND'])
      const server = api.fails('PUT', rule('override', 'x'), { body, query: { after: '.m.rule.master' } })
      expect(await server).toEqual([404, 'M_NOT_FOUND'])
    })

    it('are changed, turned off and deleted, which sync shows', async () => {
      const since = text(await api.ok('GET', 'v3/sync'), 'next_batch')
      await api.ok('PUT', rule('content', 'cake'), {
        body: { pattern: 'cake', actions: ['notify', 'coalesce'] },
      })
      await api.ok('PUT', `${rule('content', 'cake')}/enabled`, { body: { enabled: false } })
      expect(await api.ok('GET', `${rule('content', 'cake')}/enabled`)).toEqual({ enabled: false })
      await api.ok('PUT', `${rule('content', 'cake')}/actions`, { body: { actions: ['dont_notify'] } })
      expect(await api.ok('GET', `${rule('content', 'cake')}/actions`)).toEqual({ actions: ['dont_notify'] })
      expect(await api.ok('GET', rule('content', 'cake'))).toEqual({
        rule_id: 'cake',
        default: false,
        enabled: false,
        actions: ['dont_notify'],
        pattern: 'cake',
      })
      const sync = await api.ok('GET', 'v3/sync', { query: { since } })
      expect(
        pick(list(sync, 'account_data', 'events')[0], 'content', 'global', 'content', 0, 'rule_id'),
      ).toBe('cake')
      await api.ok('DELETE', rule('content', 'cake'))
      expect(await ids('content')).toEqual([])
      expect(await api.ok('GET', 'v3/pushrules/global/')).toMatchObject({ content: [] })
    })

    it('of the server stay, but can be turned off', async () => {
      const path = rule('underride', '.m.rule.message')
      await api.ok('PUT', `${path}/enabled`, { body: { enabled: false } })
      expect(await api.ok('GET', path)).toMatchObject({ default: true, enabled: false })
      expect((await api.fails('DELETE', path))[0]).toBe(400)
    })

    it.each([
      ['underride', '.mine', { actions: [] }, 'M_INVALID_PARAM'],
      ['underride', 'a/b', { actions: [] }, 'M_INVALID_PARAM'],
      ['underride', 'a\\b', { actions: [] }, 'M_INVALID_PARAM'],
      ['nonsense', 'a', { actions: [] }, 'M_INVALID_PARAM'],
      ['content', 'a', { actions: [] }, 'M_MISSING_PARAM'],
      ['content', 'a', { actions: [], pattern: 'x'.repeat(300) }, 'M_INVALID_PARAM'],
      ['underride', 'a', {}, 'M_MISSING_PARAM'],
      ['underride', 'a', { actions: [{}] }, 'M_INVALID_PARAM'],
      ['underride', 'a', { actions: [], conditions: [{ kind: 7 }] }, 'M_INVALID_PARAM'],
    ])('refuse %s %j with %j', async (kind, id, body, errcode) => {
      expect(await api.fails('PUT', rule(kind, id), { body })).toEqual([400, errcode])
    })

    it.each(['', '/enabled', '/actions'])('that are not there are not found%s', async (suffix) => {
      expect(await api.fails('GET', `${rule('room', '!x:y')}${suffix}`)).toEqual([404, 'M_NOT_FOUND'])
      const body = { enabled: true, actions: [] }
      const [method, init] = suffix === '' ? ['DELETE', {}] : ['PUT', { body }]
      expect(await api.fails(method, `${rule('room', '!x:y')}${suffix}`, init)).toEqual([404, 'M_NOT_FOUND'])
    })
  })

  it('pushers are kept and deleted', async () => {
    const pusher = {
      app_id: 'org.test',
      pushkey: 'key',
      kind: 'http',
      app_display_name: 'Test',
      device_display_name: 'Phone',
      lang: 'en',
      data: { url: 'https://push.example.org/_matrix/push/v1/notify' },
    }
    await api.ok('POST', 'v3/pushers/set', { body: pusher })
    expect(await api.ok('GET', 'v3/pushers')).toEqual({ pushers: [pusher] })
    await api.ok('POST', 'v3/pushers/set', { body: { app_id: 'org.test', pushkey: 'key', kind: null } })
    expect(await api.ok('GET', 'v3/pushers')).toEqual({ pushers: [] })
    expect((await api.fails('POST', 'v3/pushers/set', { body: { app_id: 'x' } }))[0]).toBe(400)
  })
}
