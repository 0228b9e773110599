/** URL previews. spec: client-server-api "GET /media/preview_url" */
import type { JsonObject } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Signer, WebPages } from '../ports.ts'
import type { MediaStore } from './media.ts'
import { UserError } from './types.ts'
import type { Previews } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

/** Pages that are being read at a time, for all users; more are refused. */
export const MAX_UNDER_WAY = 16
/** Previews kept in memory: a few megabytes. */
const MAX_KEPT = 1_000
const KEPT_MS = 3_600_000
/** A page that did not come is asked for again after this. */
const FAILURE_KEPT_MS = 60_000

type Outcome = JsonObject | 'refused' | 'failed'
type Kept = { readonly outcome: Outcome; readonly until: number }

type Deps = { readonly clock: Clock; readonly signer: Pick<Signer, 'name'> }
type Parts = { readonly media: Pick<MediaStore, 'cache'>; readonly webPages: WebPages }

export function createPreviews({ clock, signer }: Deps, { media, webPages }: Parts): Previews {
  const steady = createSteady(clock)
  const kept = createLru<string, Kept>(MAX_KEPT)
  const underWay = new Map<string, Promise<Outcome>>()

  const read = async (url: string): Promise<Outcome> => {
    const page = await webPages.read(url)
    if (page === 'refused' || page === 'failed') return page
    const { properties, picture } = page
    if (picture === undefined) return properties
    const { bytes, contentType, width, height } = picture
    const mediaId = await media.cache(bytes, { contentType })
    if (mediaId === undefined) return properties
    return {
      ...properties,
      'og:image': `mxc://${signer.name}/${mediaId}`,
      'og:image:type': contentType,
      'og:image:width': width,
      'og:image:height': height,
      'matrix:image:size': bytes.length,
    }
  }

  const readOnce = (url: string): Promise<Outcome> => {
    const running = underWay.get(url)
    if (running !== undefined) return running
    if (underWay.size >= MAX_UNDER_WAY)
      throw new UserError('M_LIMIT_EXCEEDED', 'too many previews are being made; try again')
    const result = read(url)
      .then((outcome) => {
        const until = steady() + (typeof outcome === 'string' ? FAILURE_KEPT_MS : KEPT_MS)
        kept.set(url, { outcome, until })
        return outcome
      })
      .finally(() => underWay.delete(url))
    underWay.set(url, result)
    return result
  }

  return {
    async preview(url) {
      const known = kept.get(url)
      const outcome = known !== undefined && steady() < known.until ? known.outcome : await readOnce(url)
      if (outcome === 'refused') throw new UserError('M_FORBIDDEN', 'this server does not ask that address')
      if (outcome === 'failed') throw new UserError('M_NOT_FOUND', 'no page came from that address')
      return outcome
    },
  }
}
