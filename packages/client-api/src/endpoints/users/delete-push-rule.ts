// DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid
import { pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const deletePushRule: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  async handler({ engine, requester, path }) {
    await engine.users.pushRules.delete(requester.userId, path.kind, path.ruleId)
    return {}
  },
})
