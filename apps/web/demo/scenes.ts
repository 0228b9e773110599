import { signal } from '@preact/signals'
import type {
  AppModel,
  InviteSummary,
  OpenedLinkView,
  LinkState,
  MemberView,
  NetworkView,
  PeerView,
  Phase,
  RoomSummary,
  SessionModel,
  TimelineItem,
} from '../src/ui/model.ts'
import {
  ADA,
  BO,
  fixtureRoom,
  ME,
  message,
  own,
  SERVER_ADA,
  SERVER_ME,
  type FixtureRoom,
} from './fixture-room.ts'

const NOW = Date.now()
const MINUTE = 60_000
const at = (minutesAgo: number): number => NOW - minutesAgo * MINUTE

const SUMMARIES: readonly RoomSummary[] = [
  {
    roomId: '!hut',
    name: 'Mountain hut',
    encrypted: true,
    memberCount: 3,
    last: { text: 'Robin: See you at the station', time: at(2) },
    unread: 0,
  },
  {
    roomId: '!ada',
    name: 'Ada',
    encrypted: true,
    memberCount: 2,
    last: { text: 'The proof needs one more lemma', time: at(48) },
    unread: 3,
  },
  {
    roomId: '!book',
    name: 'Book circle',
    encrypted: true,
    memberCount: 6,
    last: { text: 'Image: shelf.jpg', time: at(60 * 26) },
    unread: 0,
  },
  {
    roomId: '!board',
    name: 'Notice board of the house at the end of the street',
    encrypted: false,
    memberCount: 14,
    last: { text: 'Bo: The lift works again', time: at(60 * 80) },
    unread: 128,
  },
]

const MEMBERS: readonly MemberView[] = [
  { userId: ME, name: 'Robin', role: 'admin', membership: 'join', isMe: true, canKick: false },
  { userId: ADA, name: 'Ada Lindqvist', role: 'member', membership: 'join', isMe: false, canKick: true },
  { userId: BO, name: 'Bo', role: 'member', membership: 'join', isMe: false, canKick: true },
  { userId: '@cleo:k51q', name: 'Cleo', role: 'member', membership: 'invite', isMe: false, canKick: true },
]

const hutItems = (): readonly TimelineItem[] => [
  { kind: 'notice', key: 'n1', time: at(60 * 30), text: 'Robin made the room' },
  { kind: 'notice', key: 'n2', time: at(60 * 30 - 3), text: 'Ada Lindqvist joined' },
  message(
    'm1',
    ADA,
    'Ada Lindqvist',
    at(60 * 29),
    'Hello! This went straight from my browser to yours, if I read the connection page right.',
  ),
  own('m2', at(60 * 29 - 2), 'It did. 4 ms round trip, and nobody in between.', 2, 2),
  message(
    'm3',
    ADA,
    'Ada Lindqvist',
    at(60 * 28),
    'Then let us plan the hut. I made a list: https://example.org/packing-list',
  ),
  {
    ...message('m4', ADA, 'Ada Lindqvist', at(60 * 28 - 1), ''),
    content: {
      kind: 'image',
      name: 'evening-from-the-ridge.png',
      media: { url: 'mxc://a/b', mime: 'image/png', size: 184_000, encryption: undefined },
      width: 720,
      height: 480,
    },
  },
  { kind: 'notice', key: 'n3', time: at(95), text: 'Bo joined' },
  message('m5', BO, 'Bo', at(90), 'Count me in. I can bring the stove and coffee for three.'),
  {
    ...message('m6', BO, 'Bo', at(89), ''),
    content: {
      kind: 'file',
      name: 'timetable-winter-season.pdf',
      media: { url: 'mxc://a/c', mime: 'application/pdf', size: 482_113, encryption: undefined },
    },
  },
  {
    ...own('m7', at(61), 'Perfect. The 8:12 then, so that we are up before it gets dark.', 2, 2),
    replyTo: { eventId: '$m6', name: 'Bo', text: 'File: timetable-winter-season.pdf' },
    readBy: ['Ada Lindqvist'],
  },
  { ...message('m8', ADA, 'Ada Lindqvist', at(30), ''), content: { kind: 'removed', by: undefined } },
  {
    ...message('m9', BO, 'Bo', at(22), ''),
    content: { kind: 'unreadable', why: 'Sent before you joined. Its key was not meant for this browser.' },
  },
  own('m10', at(4), 'Tickets are booked 🎫', 1, 2),
  own('m11', at(2), 'See you at the station', 0, 2, 2),
]

const ACCOUNT_FILE = { name: 'robin.plexus', text: '{}' }

const NETWORK: NetworkView = { status: 'online', waiting: 0 }

const PEERS: readonly PeerView[] = [
  {
    id: SERVER_ADA,
    names: ['Ada Lindqvist'],
    kind: 'node',
    state: 'direct',
    rtt: 3.6,
    since: at(42),
    address: '/webrtc',
  },
  {
    id: 'k51bo',
    names: ['Bo'],
    kind: 'node',
    state: 'relayed',
    rtt: 61,
    since: at(3),
    address: '/p2p-circuit',
  },
  {
    id: 'k51cleo',
    names: ['Cleo'],
    kind: 'node',
    state: 'offline',
    rtt: undefined,
    since: at(60 * 7),
    address: undefined,
  },
  {
    id: '12D3KooWQ2hJvF8dY7',
    names: [],
    kind: 'relay',
    state: 'direct',
    rtt: 12,
    since: at(180),
    address: '/dns4/relay.example/tcp/443/wss',
  },
]

const withRelay = (state: PeerView['state']): readonly PeerView[] =>
  PEERS.map((peer) => (peer.kind === 'relay' ? { ...peer, state, rtt: undefined, since: undefined } : peer))

type SessionInit = {
  readonly rooms?: readonly RoomSummary[]
  readonly invites?: readonly InviteSummary[]
  readonly openedLinks?: readonly OpenedLinkView[]
  readonly network?: NetworkView
  readonly peers?: readonly PeerView[]
  readonly synced?: boolean
  readonly reminder?: boolean
  readonly prepare?: (room: FixtureRoom) => void
  readonly items?: readonly TimelineItem[]
}

function session(init: SessionInit = {}): SessionModel {
  const rooms = init.rooms ?? SUMMARIES
  const models = new Map<string, FixtureRoom>()
  const later = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 400))
  }
  return {
    me: signal({ userId: ME, name: 'Robin', server: SERVER_ME }),
    synced: signal(init.synced ?? true),
    rooms: signal(rooms),
    invites: signal(init.invites ?? []),
    openedLinks: signal(init.openedLinks ?? []),
    network: signal(init.network ?? NETWORK),
    peers: signal(init.peers ?? PEERS),
    storage: signal({ persistent: false, usedBytes: 14_200_000, quotaBytes: 10_700_000_000 }),
    phraseUnconfirmed: signal(init.reminder ?? false),
    notifications: signal<NotificationPermission>('default'),
    room(roomId) {
      const summary = rooms.find((room) => room.roomId === roomId)
      if (summary === undefined) return undefined
      let model = models.get(roomId)
      if (model === undefined) {
        model = fixtureRoom({ summary, members: MEMBERS, items: init.items ?? hutItems() })
        init.prepare?.(model)
        models.set(roomId, model)
      }
      return model
    },
    createRoom: async () => {
      await later()
      return '!hut'
    },
    acceptInvite: later,
    refuseInvite: later,
    forgetLink: later,
    setName: later,
    phrase: async () => 'legal winner thank year wave sausage worth useful legal winner thank yellow',
    confirmPhrase: later,
    exportAccount: async () => ACCOUNT_FILE,
    closeAccount: later,
    askPersistence: later,
    askNotifications: later,
  }
}

const LINK = {
  key: 'link',
  inviter: ADA,
  roomName: 'Mountain hut',
  url: 'https://plexus.example/#i.eyJyIjoiIWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6',
}

function appWith(phase: Phase, link?: LinkState, update = false, clockAheadMs = 0): AppModel {
  const shown = signal(link)
  const phases = signal(phase)
  return {
    phase: phases,
    link: shown,
    clockAheadMs: signal(clockAheadMs),
    updateReady: signal(update),
    createAccount: async () => {
      await new Promise((resolve) => setTimeout(resolve, 600))
      phases.value = { kind: 'ready', session: session({ rooms: [], reminder: true }) }
    },
    importAccount: async () => {
      throw new Error('These are not the words of a recovery phrase: “lorem” is not one of them.')
    },
    useHere: () => undefined,
    readLink: () => {
      shown.value = { kind: 'shown', link: LINK }
    },
    acceptLink: async () => undefined,
    dismissLink: () => {
      shown.value = undefined
    },
    applyUpdate: () => undefined,
  }
}

const ready = (init: SessionInit = {}, link?: LinkState): AppModel =>
  appWith({ kind: 'ready', session: session(init) }, link)

const INVITES: readonly InviteSummary[] = [
  { roomId: '!inv', name: 'Choir, Tuesdays', inviter: 'Cleo', inviterId: '@cleo:k51', encrypted: true },
]

const SCENES: Readonly<Record<string, () => AppModel>> = {
  insecure: () => appWith({ kind: 'insecure' }),
  unsupported: () => appWith({ kind: 'unsupported', missing: ['Web Locks', 'IndexedDB'] }),
  starting: () => appWith({ kind: 'starting', step: 'Starting your server' }),
  elsewhere: () => appWith({ kind: 'elsewhere', lost: false }),
  replaced: () =>
    appWith({
      kind: 'replaced',
      here: {
        exportAccount: async () => ACCOUNT_FILE,
        takeBack: async () => undefined,
        remove: async () => undefined,
      },
    }),
  clock: () => appWith({ kind: 'ready', session: session({}) }, undefined, false, -90_000_000),
  failed: () =>
    appWith({
      kind: 'failed',
      problem: {
        title: 'The disk is full',
        advice: 'Free some space on this device, then reload. Nothing was lost.',
        detail: 'QuotaExceededError',
      },
    }),
  welcome: () => appWith({ kind: 'welcome' }, undefined, true),
  landing: () => appWith({ kind: 'welcome' }, { kind: 'shown', link: LINK }),
  broken: () =>
    appWith(
      { kind: 'welcome' },
      {
        kind: 'broken',
        problem: {
          title: 'This link is not complete',
          advice: 'Copy it again, from the first character to the last, or ask for a new one.',
        },
      },
    ),
  decision: () => ready({}, { kind: 'shown', link: LINK }),
  joining: () => ready({}, { kind: 'joining', link: LINK, step: 'Looking for Ada' }),
  waiting: () =>
    ready({
      openedLinks: (['waiting', 'refused', 'unanswered'] as const).map((state) => ({
        ...LINK,
        key: state,
        state,
      })),
    }),
  joinfailed: () =>
    ready(
      {},
      {
        kind: 'failed',
        link: LINK,
        problem: {
          title: 'Nobody of the room is reachable',
          advice:
            'Ask the person who invited you to open Plexus, then try again. The link stays valid until it expires.',
        },
      },
    ),
  empty: () => ready({ rooms: [], reminder: true, peers: [], network: { status: 'online', waiting: 0 } }),
  loading: () => ready({ rooms: [], synced: false }),
  list: () => ready({ invites: INVITES }),
  room: () =>
    ready({
      invites: INVITES,
      prepare: (room) => {
        room.typingSignal.value = ['Ada Lindqvist']
      },
    }),
  connecting: () =>
    ready({
      network: { status: 'connecting', waiting: 1 },
      peers: withRelay('connecting').map((peer) =>
        peer.kind === 'node' ? { ...peer, state: 'offline' as const, rtt: undefined } : peer,
      ),
    }),
  relaylost: () => ready({ network: { status: 'no-relay', waiting: 0 }, peers: withRelay('offline') }),
  offline: () =>
    ready({
      network: { status: 'offline', waiting: 2 },
      reminder: true,
      prepare: (room) => {
        room.itemsSignal.value = [
          ...room.itemsSignal.value,
          {
            ...own('f1', at(1), 'Does this reach you?', 0, 2),
            delivery: { kind: 'failed', problem: 'This node did not take it: the disk is full.' },
          },
          { ...own('f2', at(0), 'One more', 0, 2), delivery: { kind: 'sending' } },
        ]
        room.uploadsSignal.value = [{ name: 'panorama.jpg', done: 3_000_000, total: 8_400_000 }]
      },
    }),
  long: () =>
    ready({
      items: Array.from({ length: 1_000 }, (_, index) =>
        index % 3 === 0
          ? own(`l${index}`, at(2_000 - index), `Message ${index}`, 2, 2)
          : message(
              `l${index}`,
              index % 2 === 0 ? ADA : BO,
              index % 2 === 0 ? 'Ada Lindqvist' : 'Bo',
              at(2_000 - index),
              `Message ${index}`,
            ),
      ),
    }),
  newroom: () => ready({ items: [{ kind: 'notice', key: 'n1', time: at(1), text: 'You made the room' }] }),
}

export function scene(name: string): AppModel {
  const make = SCENES[name]
  if (make === undefined) throw new Error(`no scene ${name}; there are ${Object.keys(SCENES).join(', ')}`)
  return make()
}
