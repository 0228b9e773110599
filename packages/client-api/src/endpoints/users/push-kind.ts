import type { JsonObject } from '@plexus/core'
import { PUSH_RULE_KINDS } from '@plexus/engine'
import type { PushRuleKind } from '@plexus/engine'
import * as v from 'valibot'
import { jsonObject } from '../../schemas.ts'

export const pushKind: v.GenericSchema<unknown, PushRuleKind> = v.picklist(PUSH_RULE_KINDS)
export const pushActions: v.GenericSchema<unknown, (string | JsonObject)[]> = v.array(
  v.union([v.string(), jsonObject]),
)
