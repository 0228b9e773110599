/**
 * What the user interface shows and asks for. `src/page` implements it on matrix-js-sdk and the node, `demo` on fixtures.
 * Every string from others in here is untrusted, and is only ever rendered as text.
 */
import type { ReadonlySignal } from '@preact/signals'

// --- The app around a session ----------------------------------------------------------------------------------

export type Phase =
  /** The page is not a secure context: nothing is created. */
  | { readonly kind: 'insecure' }
  /** The browser lacks something that the node needs. */
  | { readonly kind: 'unsupported'; readonly missing: readonly string[] }
  | { readonly kind: 'starting'; readonly step: string }
  /** Another page of this origin runs the node. `lost`: it took over from this one. */
  | { readonly kind: 'elsewhere'; readonly lost: boolean }
  | { readonly kind: 'welcome' }
  | { readonly kind: 'ready'; readonly session: SessionModel }
  /** Another device took the account over. */
  | { readonly kind: 'replaced'; readonly here: ReplacedModel }
  | { readonly kind: 'failed'; readonly problem: Problem }

/** What is left of an account in a browser that it does not run in any more. */
export interface ReplacedModel {
  /** The encrypted export of what is here, to be saved as a file. */
  exportAccount(): Promise<AccountFile>
  /** Takes the account over from the other device. */
  takeBack(): Promise<void>
  /** Deletes all of it from this browser, and loads the page anew. */
  remove(): Promise<void>
}

/** To be saved under `name`. */
export type AccountFile = { readonly name: string; readonly text: string }

/** What went wrong in words for the user, and what can be done. */
export type Problem = { readonly title: string; readonly advice: string; readonly detail?: string }

/** A link's claim, as read from the link alone. */
export type LinkView = {
  readonly key: string
  readonly inviter: string
  readonly roomName: string | undefined
  /** The link as text, for another browser. */
  readonly url: string
}

export type LinkState =
  | { readonly kind: 'shown'; readonly link: LinkView }
  | { readonly kind: 'joining'; readonly link: LinkView; readonly step: string }
  | { readonly kind: 'failed'; readonly link: LinkView; readonly problem: Problem }
  | { readonly kind: 'broken'; readonly problem: Problem }

/** A link whose inviter was away when it was accepted. */
export type OpenedLinkView = LinkView & {
  /** `refused`: they say that it is not valid. `unanswered`: they were away for as long as it was valid. */
  readonly state: 'waiting' | 'refused' | 'unanswered'
}

export type ImportRequest = {
  readonly phrase: string
  /** The text of an exported file; without it `localpart` says who to be. */
  readonly file: string | undefined
  readonly localpart: string
}

export interface AppModel {
  readonly phase: ReadonlySignal<Phase>
  /** The invite link that the page was opened with or that was pasted; `undefined` when there is none. */
  readonly link: ReadonlySignal<LinkState | undefined>
  /** A newer version of the app is installed and waits for consent. */
  readonly updateReady: ReadonlySignal<boolean>
  /** Milliseconds that the clock is ahead of that of whoever serves the app, negative for behind; 0 while they agree. */
  readonly clockAheadMs: ReadonlySignal<number>
  /** Resolves when the account is usable. @throws Error with a message for the user. */
  createAccount(name: string): Promise<void>
  importAccount(request: ImportRequest): Promise<void>
  /** Takes the node over from the other page. */
  useHere(): void
  /** Reads a pasted link and shows it. */
  readLink(text: string): void
  /**
   * Accepts the shown link; resolves with the joined room's id, `undefined` when that failed or the inviter is away: the
   * invitation comes when they are back.
   */
  acceptLink(): Promise<string | undefined>
  dismissLink(): void
  applyUpdate(): void
}

// --- A session --------------------------------------------------------------------------------------------------

export type Me = { readonly userId: string; readonly name: string; readonly server: string }

export type RoomSummary = {
  readonly roomId: string
  readonly name: string
  readonly encrypted: boolean
  readonly memberCount: number
  readonly last: { readonly text: string; readonly time: number } | undefined
  readonly unread: number
}

export type InviteSummary = {
  readonly roomId: string
  readonly name: string
  readonly inviter: string
  readonly inviterId: string
  readonly encrypted: boolean
}

export type NetworkStatus = 'online' | 'relayed' | 'no-relay' | 'connecting' | 'offline'

export type NetworkView = { readonly status: NetworkStatus; readonly waiting: number }

export type PeerView = {
  readonly id: string
  /** The users known at that node; empty for a relay. */
  readonly names: readonly string[]
  readonly kind: 'node' | 'relay'
  readonly state: 'direct' | 'relayed' | 'connecting' | 'offline'
  /** Round-trip time in milliseconds. */
  readonly rtt: number | undefined
  /** Milliseconds since the Unix epoch when this state began. */
  readonly since: number | undefined
  readonly address: string | undefined
}

export type StorageView = {
  /** `undefined` while it is not known. */
  readonly persistent: boolean | undefined
  readonly usedBytes: number | undefined
  readonly quotaBytes: number | undefined
}

export type Theme = 'system' | 'light' | 'dark'

export type NewRoom = { readonly name: string; readonly encrypted: boolean }

export interface SessionModel {
  readonly me: ReadonlySignal<Me>
  /** False until the first sync is done. */
  readonly synced: ReadonlySignal<boolean>
  readonly rooms: ReadonlySignal<readonly RoomSummary[]>
  readonly invites: ReadonlySignal<readonly InviteSummary[]>
  readonly openedLinks: ReadonlySignal<readonly OpenedLinkView[]>
  readonly network: ReadonlySignal<NetworkView>
  readonly peers: ReadonlySignal<readonly PeerView[]>
  readonly storage: ReadonlySignal<StorageView>
  /** True until the user confirmed having written the recovery phrase down. */
  readonly phraseUnconfirmed: ReadonlySignal<boolean>
  /** What notifications are: `default` means not asked yet. */
  readonly notifications: ReadonlySignal<NotificationPermission | 'unsupported'>
  /** The model of a joined room, made once; `undefined` when the user is not in it. */
  room(roomId: string): RoomModel | undefined
  createRoom(room: NewRoom): Promise<string>
  acceptInvite(roomId: string): Promise<void>
  refuseInvite(roomId: string): Promise<void>
  /** Waits no longer for what a link is to bring. */
  forgetLink(key: string): Promise<void>
  setName(name: string): Promise<void>
  /** The words, while the browser still has them. */
  phrase(): Promise<string | undefined>
  /** Forgets the words: from here on only the user has them. */
  confirmPhrase(): Promise<void>
  /** The encrypted export, to be saved as a file. */
  exportAccount(): Promise<AccountFile>
  /** Gives the account up for ever. What others are told of it goes out while the page stays open. */
  closeAccount(): Promise<void>
  askPersistence(): Promise<void>
  askNotifications(): Promise<void>
}

// --- A room -----------------------------------------------------------------------------------------------------

export type MediaRef = {
  readonly url: string
  readonly mime: string
  readonly size: number | undefined
  readonly encryption: AttachmentKey | undefined
}

/** spec: client-server-api "Extensions to m.room.message msgtypes", EncryptedFile. Unpadded base64. */
export type AttachmentKey = { readonly key: string; readonly iv: string; readonly sha256: string }

export type MessageContent =
  | {
      readonly kind: 'text'
      readonly text: string
      readonly style: 'text' | 'notice' | 'emote'
      readonly edited: boolean
    }
  | {
      readonly kind: 'image'
      readonly name: string
      readonly media: MediaRef
      readonly width: number | undefined
      readonly height: number | undefined
    }
  | { readonly kind: 'file'; readonly name: string; readonly media: MediaRef }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'removed'; readonly by: string | undefined }

export type DeliveryState =
  | { readonly kind: 'received' }
  | { readonly kind: 'sending' }
  | { readonly kind: 'failed'; readonly problem: string }
  /** Committed by this node; `reached` of `members` other nodes have it, for `atRelay` more it waits at a relay. */
  | {
      readonly kind: 'sent'
      readonly reached: number
      readonly atRelay: number
      readonly members: number
    }

export type MessageItem = {
  readonly kind: 'message'
  /** Stable over the event's life, also when its id changes from a local one. */
  readonly key: string
  readonly eventId: string
  readonly sender: string
  readonly senderName: string
  readonly time: number
  readonly own: boolean
  readonly content: MessageContent
  readonly replyTo: { readonly eventId: string; readonly name: string; readonly text: string } | undefined
  readonly delivery: DeliveryState
  /** Names of the others whose read receipt stands at this message. */
  readonly readBy: readonly string[]
  readonly canRemove: boolean
}

/** A membership or other state change in words. */
export type NoticeItem = {
  readonly kind: 'notice'
  readonly key: string
  readonly time: number
  readonly text: string
}

export type TimelineItem = MessageItem | NoticeItem

export type MemberView = {
  readonly userId: string
  readonly name: string
  readonly role: 'admin' | 'moderator' | 'member'
  readonly membership: 'join' | 'invite'
  readonly isMe: boolean
  readonly canKick: boolean
}

export type BackfillState = 'more' | 'loading' | 'start' | 'failed'

/** A link just made. `expires` in milliseconds since the Unix epoch. */
export type MadeInvite = {
  readonly url: string
  readonly token: string
  readonly expires: number
  readonly reachable: boolean
}

export type Upload = { readonly name: string; readonly done: number; readonly total: number }

export interface RoomModel {
  readonly roomId: string
  readonly summary: ReadonlySignal<RoomSummary>
  readonly items: ReadonlySignal<readonly TimelineItem[]>
  readonly members: ReadonlySignal<readonly MemberView[]>
  /** Names of the others who are typing. */
  readonly typing: ReadonlySignal<readonly string[]>
  readonly backfill: ReadonlySignal<BackfillState>
  readonly uploads: ReadonlySignal<readonly Upload[]>
  readonly canInvite: ReadonlySignal<boolean>
  loadOlder(): Promise<void>
  sendText(text: string, replyTo: string | undefined): Promise<void>
  sendFile(file: File): Promise<void>
  /** Sends a message again that failed, or drops it. */
  retry(key: string): Promise<void>
  discard(key: string): void
  remove(eventId: string): Promise<void>
  setTyping(typing: boolean): void
  /** The newest message was on the screen. */
  markRead(): void
  createInvite(): Promise<MadeInvite>
  /** Makes a link worthless. */
  revokeInvite(token: string): Promise<void>
  /** Finds the person's node and invites them; tells each step. @throws with words for the user */
  invite(userId: string, step: (words: string) => void): Promise<void>
  kick(userId: string): Promise<void>
  leave(): Promise<void>
  /**
   * Fetches, checks and decrypts media. The blob's type is of the allow-list for inline display when `inline` is asked
   * for, else `application/octet-stream`. @throws when the hash does not match or nobody has it.
   */
  media(media: MediaRef, inline: boolean): Promise<Blob>
}
