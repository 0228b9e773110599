import type { ServerName } from '@plexus/core'
import type { Clock, Log } from '@plexus/engine/ports'
import {
  certificateFault,
  createFrameChannel,
  createHeartbeat,
  createTokenBucket,
  decodeKeys,
  decodeNames,
  decodeKeyedRecord,
  decodeRegister,
  encodeEntry,
  encodeKeyedRecord,
  MAX_DEVICES_PER_NAME,
  MAX_WATCHED_NAMES,
  RelayFrame,
  RelayRefusal,
  type ByteStream,
  type Frame,
  type FrameChannel,
  type Heartbeat,
  type Published,
  type RelayEntry,
  type RelayRefusalCode,
  type SignedCertificate,
} from '@plexus/p2p/wire'
import {
  FRAME_BURST,
  FRAMES_PER_SECOND,
  MAX_CONNECTIONS,
  MAX_WATCHES,
  NAME_BURST,
  NAMES_PER_SECOND,
  RECORD_BURST,
  RECORDS_PER_SECOND,
  REGISTER_TIMEOUT_MS,
  REGISTRATION_BURST,
  REGISTRATIONS_PER_SECOND,
} from './limits.ts'
import type { Source, Sources } from './mail/sources.ts'
import type { Records } from './records.ts'

export type DirectoryStats = { readonly sessions: number; readonly names: number; readonly watched: number }

/**
 * Who is here: names that proved themselves by certificate, while their stream lasts. Invariants: a name is told only
 * to registered nodes that asked for it by name; nothing outlives the stream that brought it.
 */
export interface RelayDirectory {
  /**
   * Takes over a stream of a node whose peer id the transport proved. A node's newer stream replaces its older one.
   * `address`: the multiaddr that it comes from.
   */
  accept(stream: ByteStream, from: { readonly peerId: string; readonly address: string }): void
  stats(): DirectoryStats
  close(): void
}

type Session = {
  readonly peerId: string
  readonly channel: FrameChannel
  readonly source: Source
  signed: SignedCertificate | undefined
  readonly watched: Set<ServerName>
}

const K = RelayFrame

export type RelayDirectoryDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly records: Pick<Records, 'get' | 'put' | 'isOwn'>
  readonly sources: Sources
  /** A registered node published a record that is new here. */
  readonly published: (published: Published) => void
}

/** @param maxWatches for tests; the named bound counts otherwise */
export function createRelayDirectory(
  { clock, log, records, sources, published }: RelayDirectoryDeps,
  maxWatches: number = MAX_WATCHES,
): RelayDirectory {
  const sessions = new Map<string, Session>()
  const registered = new Map<ServerName, Set<Session>>()
  const watchers = new Map<ServerName, Set<Session>>()
  let watches = 0

  function entryOf(name: ServerName): RelayEntry | undefined {
    const devices = [...(registered.get(name) ?? [])]
      .map(({ signed }) => signed)
      .filter((signed) => signed !== undefined)
    return devices.length === 0 ? undefined : { name, devices: devices.slice(0, MAX_DEVICES_PER_NAME) }
  }

  /** Answers with the entries of those names that are here. */
  function answer(session: Session, id: number, names: readonly ServerName[]): void {
    for (const name of names) {
      const entry = entryOf(name)
      if (entry !== undefined) session.channel.send(K.entry, id, encodeEntry(entry))
    }
    session.channel.send(K.done, id)
  }

  function register(session: Session, body: Uint8Array): RelayRefusalCode | undefined {
    const signed = decodeRegister(body)
    if (signed === undefined) return RelayRefusal.nonsense
    const fault = certificateFault(signed, session.peerId, clock.now())
    if (fault !== undefined) {
      log.log('info', 'certificate refused', { peer: session.peerId, reason: fault })
      return RelayRefusal.badCertificate
    }
    const { name } = signed.certificate
    const before = session.signed?.certificate.name
    if (before !== undefined && before !== name) return RelayRefusal.badCertificate
    const devices = registered.get(name) ?? new Set()
    if (before === undefined && devices.size >= MAX_DEVICES_PER_NAME) return RelayRefusal.tooMany
    session.signed = signed
    devices.add(session)
    registered.set(name, devices)
    if (before === undefined) tellWatchers(session, name)
    return undefined
  }

  function tellWatchers(session: Session, name: ServerName): void {
    const entry = entryOf(name)
    if (entry === undefined) return
    for (const watcher of watchers.get(name) ?? []) {
      if (watcher !== session) watcher.channel.send(K.entry, 0, encodeEntry(entry))
    }
  }

  function watch(session: Session, names: readonly ServerName[]): RelayRefusalCode | undefined {
    const fresh = new Set(names.filter((name) => !session.watched.has(name)))
    if (session.watched.size + fresh.size > MAX_WATCHED_NAMES) return RelayRefusal.tooMany
    if (watches + fresh.size > maxWatches) return RelayRefusal.tooMany
    watches += fresh.size
    for (const name of fresh) {
      session.watched.add(name)
      const set = watchers.get(name) ?? new Set()
      watchers.set(name, set.add(session))
    }
    return undefined
  }

  function unwatch(session: Session, names: Iterable<ServerName>): void {
    for (const name of names) {
      if (!session.watched.delete(name)) continue
      watches -= 1
      const set = watchers.get(name)
      set?.delete(session)
      if (set?.size === 0) watchers.delete(name)
    }
  }

  /** A node speaks for its own name only. */
  function publish({ signed, source }: Session, body: Uint8Array): RelayRefusalCode | undefined {
    const record = decodeKeyedRecord(body, clock.now())
    const name = record?.signed.record.name
    if (record === undefined || name === undefined || name !== signed?.certificate.name)
      return RelayRefusal.nonsense
    if (!records.isOwn(name) && !source.newcomers.take()) return RelayRefusal.tooFast
    const result = records.put(record, { by: 'node', source: source.tag })
    // Told again, as after each new connection.
    if (result === 'known') return undefined
    if (result === 'older') return RelayRefusal.older
    if (result === 'full') return RelayRefusal.tooMany
    published(record)
    return undefined
  }

  function tellRecords({ channel }: Session, id: number, keys: readonly string[]): void {
    for (const key of new Set(keys)) {
      const record = records.get(key)
      if (record !== undefined) channel.send(K.record, id, encodeKeyedRecord(record))
    }
    channel.send(K.done, id)
  }

  function forget(session: Session): void {
    if (sessions.get(session.peerId) === session) sessions.delete(session.peerId)
    unwatch(session, [...session.watched])
    const name = session.signed?.certificate.name
    if (name === undefined) return
    const devices = registered.get(name)
    devices?.delete(session)
    if (devices?.size === 0) registered.delete(name)
  }

  /** Reads the frames of one stream. */
  function start(session: Session, heartbeat: Heartbeat, cancelTimer: () => void): (frame: Frame) => void {
    const frames = createTokenBucket(() => clock.now(), FRAMES_PER_SECOND, FRAME_BURST)
    const names = createTokenBucket(() => clock.now(), NAMES_PER_SECOND, NAME_BURST)
    const registrations = createTokenBucket(() => clock.now(), REGISTRATIONS_PER_SECOND, REGISTRATION_BURST)
    const publications = createTokenBucket(() => clock.now(), RECORDS_PER_SECOND, RECORD_BURST)
    const { channel } = session
    const refuse = (id: number, code: RelayRefusalCode): void =>
      channel.send(K.refuse, id, Uint8Array.of(code))

    function onRegister(id: number, body: Uint8Array): void {
      const code = registrations.take() ? register(session, body) : RelayRefusal.tooFast
      if (code === undefined) {
        cancelTimer()
        channel.send(K.done, id)
        return
      }
      refuse(id, code)
      channel.close('not registered')
    }

    function onNames(kind: number, id: number, body: Uint8Array): void {
      const asked = decodeNames(body)
      if (asked === undefined) refuse(id, RelayRefusal.nonsense)
      else if (kind === K.unwatch) unwatch(session, asked)
      else if (!names.take(asked.length)) refuse(id, RelayRefusal.tooFast)
      else {
        const code = kind === K.watch ? watch(session, asked) : undefined
        if (code === undefined) answer(session, id, asked)
        else refuse(id, code)
      }
    }

    function onPublish(id: number, body: Uint8Array): void {
      const code = publications.take() ? publish(session, body) : RelayRefusal.tooFast
      if (code === undefined) channel.send(K.done, id)
      else refuse(id, code)
    }

    function onFind(id: number, body: Uint8Array): void {
      const keys = decodeKeys(body)
      if (keys === undefined) refuse(id, RelayRefusal.nonsense)
      else if (!names.take(keys.length)) refuse(id, RelayRefusal.tooFast)
      else tellRecords(session, id, keys)
    }

    return ({ kind, id, body }) => {
      heartbeat.heard()
      if (!frames.take()) channel.abort('too many frames')
      else if (kind === K.register) onRegister(id, body)
      else if (kind === K.ping) channel.send(K.pong, id)
      else if (kind === K.pong) heartbeat.pong(id)
      else if (session.signed === undefined) channel.abort('not registered')
      else if (kind === K.lookup || kind === K.watch || kind === K.unwatch) onNames(kind, id, body)
      else if (kind === K.publish) onPublish(id, body)
      else if (kind === K.find) onFind(id, body)
      else channel.abort('unknown kind of frame')
    }
  }

  return {
    accept(stream, { peerId, address }) {
      if (sessions.size >= MAX_CONNECTIONS && !sessions.has(peerId)) {
        stream.abort(new Error('the relay is full'))
        return
      }
      let onFrame: (frame: Frame) => void = () => undefined
      const channel = createFrameChannel(stream, {
        frame: (frame) => onFrame(frame),
        writable: () => undefined,
        closed(reason) {
          cancelTimer()
          heartbeat.stop()
          forget(session)
          log.log('debug', 'relay stream closed', { peer: peerId, reason })
        },
      })
      const source = sources(address)
      const session: Session = { peerId, channel, source, signed: undefined, watched: new Set() }
      const heartbeat = createHeartbeat({
        clock,
        ping(id) {
          const expires = session.signed?.certificate.expires
          if (expires !== undefined && expires <= clock.now()) channel.abort('certificate expired')
          else channel.send(K.ping, id)
        },
        dead: () => channel.abort('no sign of life'),
        roundTrip: () => undefined,
      })
      const cancelTimer = clock.after(REGISTER_TIMEOUT_MS, () => channel.abort('no certificate in time'))
      onFrame = start(session, heartbeat, cancelTimer)
      const older = sessions.get(peerId)
      sessions.set(peerId, session)
      older?.channel.send(K.refuse, 0, Uint8Array.of(RelayRefusal.replaced))
      older?.channel.close('replaced by a newer stream')
    },
    stats: () => ({ sessions: sessions.size, names: registered.size, watched: watchers.size }),
    close() {
      for (const { channel } of sessions.values()) channel.close('the relay stops')
    },
  }
}
