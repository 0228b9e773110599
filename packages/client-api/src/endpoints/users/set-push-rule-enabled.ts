// PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidenabled
import { pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const setPushRuleEnabled: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  bodySchema: v.object({ enabled: v.boolean() }),
  async handler({ engine, requester, path, body }) {
    await engine.users.pushRules.setEnabled(requester.userId, path.kind, path.ruleId, body.enabled)
    return {}
  },
})
