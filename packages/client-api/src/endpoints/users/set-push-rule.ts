// PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
import { pushActions, pushKind } from './push-kind.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'

/** spec: data/api/client-server/definitions/push_condition.yaml; kinds of other versions have other fields. */
const known = v.looseObject({
  kind: v.string(),
  key: v.optional(v.string()),
  pattern: v.optional(v.string()),
  is: v.optional(v.string()),
  value: v.optional(v.nullable(v.union([v.string(), v.boolean(), v.pipe(v.number(), v.integer())]))),
})
const condition = v.pipe(
  jsonObject,
  v.check((value) => v.is(known, value), 'not a condition'),
)

export const setPushRule: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}',
  auth: 'user',
  pathSchema: v.object({ kind: pushKind, ruleId: v.string() }),
  querySchema: v.object({ before: v.optional(v.string()), after: v.optional(v.string()) }),
  bodySchema: v.object({
    actions: pushActions,
    conditions: v.optional(v.array(condition)),
    pattern: v.optional(v.string()),
  }),
  async handler({ engine, requester, path, query, body }) {
    await engine.users.pushRules.put(requester.userId, path.kind, path.ruleId, {
      actions: body.actions,
      ...(body.conditions === undefined ? {} : { conditions: body.conditions }),
      ...(body.pattern === undefined ? {} : { pattern: body.pattern }),
      ...(query.before === undefined ? {} : { before: query.before }),
      ...(query.after === undefined ? {} : { after: query.after }),
    })
    return {}
  },
})
