// GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidenabled
import { pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushRuleEnabled: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  async handler({ engine, requester, path }) {
    const { enabled } = await engine.users.pushRules.rule(requester.userId, path.kind, path.ruleId)
    return { enabled }
  },
})
