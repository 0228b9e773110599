/** Push gateways over HTTP. spec: push-gateway-api.md */
import { isJsonObject, ownValue, type JsonValue } from '@plexus/core'
import type { Outbound } from '@plexus/daemon'
import type { PushGateway } from '@plexus/engine/ports'

export const MAX_GATEWAY_ANSWER_BYTES = 65_536
const TIMEOUT_MS = 15_000

export function createPushGateway(outbound: Outbound): PushGateway {
  return {
    async notify(url, body) {
      const { status, bytes } = await outbound.request(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        maxBytes: MAX_GATEWAY_ANSWER_BYTES,
        timeoutMs: TIMEOUT_MS,
      })
      return { status, rejected: status === 200 ? rejectedIn(new TextDecoder().decode(bytes)) : [] }
    },
  }
}

/** None for an answer that is not as it should be: the notification has arrived. */
function rejectedIn(text: string): readonly string[] {
  try {
    const answer = JSON.parse(text) as JsonValue
    const rejected = isJsonObject(answer) ? ownValue(answer, 'rejected') : undefined
    return Array.isArray(rejected) ? rejected.filter((key): key is string => typeof key === 'string') : []
  } catch {
    return []
  }
}
