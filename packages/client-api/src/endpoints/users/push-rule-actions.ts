// GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidactions
import { pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushRuleActions: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  async handler({ engine, requester, path }) {
    const { actions } = await engine.users.pushRules.rule(requester.userId, path.kind, path.ruleId)
    return { actions }
  },
})
