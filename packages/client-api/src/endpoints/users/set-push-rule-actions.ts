// PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions
import { pushActions, pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const setPushRuleActions: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  bodySchema: v.object({ actions: pushActions }),
  async handler({ engine, requester, path, body }) {
    await engine.users.pushRules.setActions(requester.userId, path.kind, path.ruleId, body.actions)
    return {}
  },
})
