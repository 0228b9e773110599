import type { JsonObject } from '@plexus/core'
import type { Device } from '@plexus/engine'

/** spec: data/api/client-server/definitions/client_device.yaml */
export function clientDevice({ deviceId, displayName, lastSeenAt, lastSeenFrom }: Device): JsonObject {
  return {
    device_id: deviceId,
    ...(displayName === undefined ? {} : { display_name: displayName }),
    ...(lastSeenAt === undefined ? {} : { last_seen_ts: lastSeenAt }),
    ...(lastSeenFrom === undefined ? {} : { last_seen_ip: lastSeenFrom }),
  }
}
