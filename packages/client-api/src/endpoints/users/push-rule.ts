// GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid
import { pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushRule: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  async handler({ engine, requester, path }) {
    return { ...(await engine.users.pushRules.rule(requester.userId, path.kind, path.ruleId)) }
  },
})
