import { computed, signal, type Signal } from '@preact/signals'
import type {
  BackfillState,
  MediaRef,
  MemberView,
  MessageItem,
  RoomModel,
  RoomSummary,
  TimelineItem,
  Upload,
} from '../src/ui/model.ts'

export const SERVER_ME = 'k51qzi5uqu5dhzowq5k1p6pbsyx0b1qkk8b7b6w2f0mml3t0n2g5v1d9xk4a7c'
export const SERVER_ADA = 'k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r'
export const ME: string = `@robin:${SERVER_ME}`
export const ADA: string = `@ada:${SERVER_ADA}`
export const BO = '@bo:k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8'

export type FixtureRoom = RoomModel & {
  readonly itemsSignal: Signal<readonly TimelineItem[]>
  readonly typingSignal: Signal<readonly string[]>
  readonly uploadsSignal: Signal<readonly Upload[]>
}

export type FixtureInit = {
  readonly summary: RoomSummary
  readonly items: readonly TimelineItem[]
  readonly members: readonly MemberView[]
  readonly backfill?: BackfillState
}

/** A photograph-like picture, drawn here. */
async function picture(): Promise<Blob> {
  const canvas = new OffscreenCanvas(720, 480)
  const context = canvas.getContext('2d')
  if (context === null) throw new Error('no canvas')
  const sky = context.createLinearGradient(0, 0, 0, 480)
  sky.addColorStop(0, '#f2c99b')
  sky.addColorStop(0.55, '#e79b7d')
  sky.addColorStop(1, '#4b6a88')
  context.fillStyle = sky
  context.fillRect(0, 0, 720, 480)
  context.fillStyle = '#fff3d6'
  context.beginPath()
  context.arc(520, 210, 46, 0, 7)
  context.fill()
  for (const [color, base, rise] of [
    ['#5d6f8a', 330, 70],
    ['#41536d', 370, 60],
    ['#27384f', 420, 50],
  ] as const) {
    context.fillStyle = color
    context.beginPath()
    context.moveTo(0, 480)
    for (let x = 0; x <= 720; x += 8)
      context.lineTo(x, base - Math.sin(x / 97 + base) * rise - Math.sin(x / 31) * 8)
    context.lineTo(720, 480)
    context.fill()
  }
  return canvas.convertToBlob({ type: 'image/png' })
}

export function fixtureRoom(init: FixtureInit): FixtureRoom {
  const items = signal(init.items)
  const typing = signal<readonly string[]>([])
  const uploads = signal<readonly Upload[]>([])
  let sent = 0
  const later = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  return {
    roomId: init.summary.roomId,
    summary: signal(init.summary),
    items,
    itemsSignal: items,
    members: signal(init.members),
    typing,
    typingSignal: typing,
    backfill: signal(init.backfill ?? 'start'),
    uploads,
    uploadsSignal: uploads,
    canInvite: computed(() => true),
    loadOlder: later,
    async sendText(text) {
      sent += 1
      items.value = [...items.value, own(`s${sent}`, Date.now(), text, 0, 2)]
    },
    sendFile: later,
    retry: later,
    discard: (key) => {
      items.value = items.value.filter((item) => item.key !== key)
    },
    remove: later,
    setTyping: () => undefined,
    markRead: () => undefined,
    async createInvite() {
      await later()
      return {
        url: `https://plexus.example/#i.${'eyJyIjoiIWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6IiwidCI6IjEyMzQ1Njc4OTAifQ'.repeat(4)}`,
        token: 'token',
        expires: Date.now() + 7 * 86_400_000,
        reachable: true,
      }
    },
    revokeInvite: later,
    invite: later,
    kick: later,
    leave: later,
    media: async (_media: MediaRef, inline) => (inline ? picture() : new Blob(['demo'])),
  }
}

export function message(
  key: string,
  sender: string,
  senderName: string,
  time: number,
  text: string,
): MessageItem {
  return {
    kind: 'message',
    key,
    eventId: `$${key}`,
    sender,
    senderName,
    time,
    own: false,
    content: { kind: 'text', text, style: 'text', edited: false },
    replyTo: undefined,
    delivery: { kind: 'received' },
    readBy: [],
    canRemove: false,
  }
}

export function own(
  key: string,
  time: number,
  text: string,
  reached: number,
  members: number,
  atRelay = 0,
): MessageItem {
  return {
    ...message(key, ME, 'Robin', time, text),
    own: true,
    delivery: { kind: 'sent', reached, atRelay, members },
    canRemove: true,
  }
}
