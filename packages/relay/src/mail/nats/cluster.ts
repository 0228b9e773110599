/** The streams of a NATS cluster that mail is kept in: writes that are repeated until the cluster answers, and reads. */
import {
  DiscardPolicy,
  jetstreamManager,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
  type StoredMsg,
  type StreamConfig,
} from '@nats-io/jetstream'
import { connect, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import { isJsonObject, type JsonObject, type JsonValue } from '@plexus/core'
import { StoreError, type Log } from '@plexus/engine/ports'
import { MAX_MAIL_BYTES } from '@plexus/p2p/wire'
import {
  NATS_ANSWER_MS,
  NATS_DEADLINE_MS,
  NATS_PING_MS,
  NATS_RECONNECT_MS,
  NATS_RETRY_MS,
  NATS_STREAM_RESERVE_BYTES,
} from '../../limits.ts'

export type NatsInit = {
  /** `nats://host:port` or `tls://host:port`, each a server of one cluster. */
  readonly servers: readonly string[]
  /** What the servers ask for. */
  readonly token?: string | undefined
  /** PEM of the authority that signed the servers' certificates, where it is not a public one. */
  readonly ca?: string | undefined
  /** Bytes of mail at which deposits are refused. */
  readonly maxBytes: number
  /** Mails at which they are, for tests; `NATS_MAX_MAILS` otherwise. */
  readonly maxMails?: number
  /** Begins the names of streams and subjects: for tests that share a server. */
  readonly prefix?: string
}

/** Mail, and what changes of mailboxes: records, shelves, what devices have. */
export type StreamName = 'mail' | 'box'

export type NewMessage = {
  readonly stream: StreamName
  /** Below the stream's. */
  readonly subject: string
  readonly label: JsonObject
  readonly bytes?: Uint8Array
  /** Nothing may be at that subject: of several that write there at once one does. */
  readonly isFirst?: boolean
}

export type Message = { readonly seq: number; readonly label: JsonObject; readonly bytes: Uint8Array }

/**
 * A connection to the cluster. What `write` resolved with is on the disks of most replicas, if the servers sync each write
 * (`sync_interval: always`). @throws StoreError `full`, `closed`, or `failed` when the cluster does not answer in time
 */
export interface Cluster extends AsyncDisposable {
  readonly jetstream: JetStreamClient
  /** Why there is no cluster at present. */
  readonly failure: StoreError | undefined
  nameOf(stream: StreamName): string
  /** The place of the message in the stream; `taken` where it was to be the first and is not, maybe after itself. */
  write(message: NewMessage): Promise<number | 'taken'>
  /** `gone`: it was removed. `later`: this replica does not have it yet, or it was removed and nothing came since. */
  read(stream: StreamName, seq: number): Promise<Message | 'gone' | 'later'>
  /** Removes one message. */
  remove(stream: StreamName, seq: number): Promise<void>
  /** Removes the messages of a subject, wildcards included, up to a place. */
  purge(stream: StreamName, subject: string, seq: number): Promise<void>
}

const LABEL = 'Plexus'
/** Codes of JetStream's API: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const FULL: readonly number[] = [10_023, 10_047, 10_077]
const TAKEN: readonly number[] = [
  JetStreamApiCodes.StreamWrongLastSequence,
  JetStreamApiCodes.StreamWrongLastSequenceUnknown,
]
const NAME_IN_USE = 10_058
const STREAMS: readonly StreamName[] = ['mail', 'box']

/** @throws StoreError when it cannot be reached, or its streams are not such as mail needs */
export async function joinCluster(log: Log, init: NatsInit): Promise<Cluster> {
  const { prefix = 'plexus' } = init
  const connection = await connectTo(init)
  try {
    const manager = await retried(() =>
      jetstreamManager(connection, { checkAPI: false, timeout: NATS_ANSWER_MS }),
    )
    checkServer(log, connection)
    for (const stream of STREAMS) await openStream(connection, manager, { prefix, stream, ...init })
    return createCluster(log, { prefix, connection, manager })
  } catch (error) {
    await connection.close()
    throw error
  }
}

async function connectTo({ servers, token, ca }: NatsInit): Promise<NatsConnection> {
  try {
    return await connect({
      name: 'plexus-relay',
      servers: [...servers],
      maxReconnectAttempts: -1,
      reconnectTimeWait: NATS_RECONNECT_MS,
      pingInterval: NATS_PING_MS,
      ...(token === undefined ? {} : { token }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    })
  } catch (cause) {
    const why = reasonOf(cause)
    throw new StoreError('failed', `no NATS server of ${servers.join(', ')} can be used (${why})`, { cause })
  }
}

function checkServer(log: Log, { info }: NatsConnection): void {
  const largest = MAX_MAIL_BYTES + LABEL_ROOM
  if (info !== undefined && info.max_payload < largest)
    throw new StoreError('failed', `the NATS servers' max_payload is below ${largest} bytes`)
  const [major = 0, minor = 0] = (info?.version ?? '').split('.').map(Number)
  if (major > 2 || (major === 2 && minor >= 10)) return
  // In one run of six a replica of 2.9.10 that was killed came back without the beginning of a stream, and said nothing of it.
  if (info?.cluster !== undefined)
    throw new StoreError('failed', 'the NATS servers of a cluster must be 2.10 or newer')
  log.log('warn', 'this NATS server cannot sync each write: a power cut loses mail', {
    version: info?.version ?? 'unknown',
  })
}

/** Bytes of a message beside those of the mail: subject and label. */
const LABEL_ROOM = 2_048

type StreamInit = { readonly prefix: string; readonly stream: StreamName; readonly maxBytes: number }

/** Makes the stream, or finds that of the first relay that did. */
async function openStream(
  connection: NatsConnection,
  manager: JetStreamManager,
  { prefix, stream, maxBytes }: StreamInit,
): Promise<void> {
  const name = `${prefix}-${stream}`
  const wanted: Partial<StreamConfig> & { name: string } = {
    name,
    subjects: [`${prefix}.${stream}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: connection.info?.cluster === undefined ? 1 : 3,
    allow_direct: true,
    // Of what devices have, the newest counts; all else has a subject of its own.
    ...(stream === 'box' ? { max_msgs_per_subject: 1 } : { max_bytes: maxBytes + NATS_STREAM_RESERVE_BYTES }),
  }
  await retried(async () => {
    try {
      await manager.streams.add(wanted)
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === NAME_IN_USE)) throw error
      const { config } = await manager.streams.info(name)
      const keeps = config.storage === StorageType.File && config.retention === RetentionPolicy.Limits
      if (!keeps || config.discard !== DiscardPolicy.New || config.max_age > 0)
        throw new StoreError('failed', `the stream ${name} of the NATS cluster does not keep what it takes`)
    }
  })
}

type ClusterInit = {
  readonly prefix: string
  readonly connection: NatsConnection
  readonly manager: JetStreamManager
}

function createCluster(log: Log, { prefix, connection, manager }: ClusterInit): Cluster {
  const jetstream = manager.jetstream()
  let lost: StoreError | undefined
  const nameOf = (stream: StreamName): string => `${prefix}-${stream}`

  async function watchConnection(): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') lost = new StoreError('failed', 'no NATS server can be reached')
      if (type === 'reconnect') lost = undefined
      if (type === 'disconnect' || type === 'reconnect') log.log('info', 'NATS', { status: type })
    }
  }
  void watchConnection()

  function retriedHere<T>(work: () => Promise<T>): Promise<T> {
    return retried(work, () => connection.isClosed())
  }

  async function write({ stream, subject, label, bytes, isFirst }: NewMessage): Promise<number | 'taken'> {
    const head = headers()
    head.set(LABEL, JSON.stringify(label))
    const expect = isFirst === true ? { expect: { lastSubjectSequence: 0 } } : {}
    return retriedHere(async () => {
      try {
        const options = { headers: head, timeout: NATS_ANSWER_MS, ...expect }
        return (await jetstream.publish(`${prefix}.${stream}.${subject}`, bytes, options)).seq
      } catch (error) {
        if (isFirst === true && error instanceof JetStreamApiError && TAKEN.includes(error.code))
          return 'taken'
        throw error
      }
    })
  }

  async function read(stream: StreamName, seq: number): Promise<Message | 'gone' | 'later'> {
    const name = nameOf(stream)
    // Any replica may answer, and have less than others.
    const near = await manager.direct.getMessage(name, { seq }).catch(() => null)
    if (near !== null) return messageOf(near)
    const found = await retriedHere(() =>
      // The leader may be new. One that has what came later has all that came before and was not removed.
      manager.streams.getMessage(name, { seq, next_by_subj: `${prefix}.${stream}.>` } as { seq: number }),
    )
    if (found === null) return 'later'
    return found.seq === seq ? messageOf(found) : 'gone'
  }

  return {
    jetstream,
    get failure() {
      return lost
    },
    nameOf,
    write,
    read,
    async remove(stream, seq) {
      await retriedHere(async () => {
        try {
          await manager.streams.deleteMessage(nameOf(stream), seq, false)
        } catch (error) {
          // Another relay was first.
          if (!(error instanceof JetStreamApiError) || !GONE.includes(error.code)) throw error
        }
      })
    },
    async purge(stream, subject, seq) {
      const filter = `${prefix}.${stream}.${subject}`
      await retriedHere(() => manager.streams.purge(nameOf(stream), { filter, seq: seq + 1 }))
    },
    async [Symbol.asyncDispose]() {
      await connection.close()
    },
  }
}

/** "no message found", "sequence not found" */
const GONE: readonly number[] = [JetStreamApiCodes.NoMessageFound, 10_043]

function messageOf({ seq, header, data }: StoredMsg): Message {
  const label = labelOf(header)
  if (label === undefined) throw new StoreError('failed', 'a message in the NATS cluster is of no relay')
  return { seq, label, bytes: new Uint8Array(data) }
}

/** What a message says of itself; `undefined` for one that no relay wrote. */
export function labelOf(head: MsgHdrs | undefined): JsonObject | undefined {
  try {
    const label = JSON.parse(head?.get(LABEL) ?? '') as JsonValue
    return isJsonObject(label) ? label : undefined
  } catch {
    return undefined
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Repeats what fails because the cluster is choosing leaders, or cannot be reached for a while. */
async function retried<T>(work: () => Promise<T>, isClosed: () => boolean = () => false): Promise<T> {
  const deadline = performance.now() + NATS_DEADLINE_MS
  for (;;) {
    if (isClosed()) throw new StoreError('closed', 'the mail store is closed')
    try {
      return await work()
    } catch (error) {
      if (error instanceof StoreError) throw error
      const code = error instanceof JetStreamApiError ? error.code : 0
      if (FULL.includes(code)) throw new StoreError('full', 'the NATS cluster is full', { cause: error })
      if (performance.now() > deadline && !isClosed())
        throw new StoreError('failed', `the NATS cluster does not do what it is asked (${reasonOf(error)})`, {
          cause: error,
        })
    }
    await new Promise((resolve) => setTimeout(resolve, NATS_RETRY_MS))
  }
}
