/** Every event of matrix-js-sdk after which a room may look different. */
import {
  ClientEvent,
  MatrixEventEvent,
  RoomEvent,
  RoomMemberEvent,
  RoomStateEvent,
  type IRoomTimelineData,
  type MatrixClient,
  type MatrixEvent,
  type Room,
  type RoomMember,
  type RoomState,
} from './sdk.ts'

export type ClientListener = {
  /** Something of the room changed. */
  touch(roomId: string): void
  /** An own event changed its state. */
  sent(): void
  /** A live event of somebody else arrived, decrypted if it could be. */
  arrived(event: MatrixEvent, room: Room): void
}

/** Calls `listener` until the answer is called. */
export function watchClient(client: MatrixClient, listener: ClientListener): () => void {
  const ofRoom = (room: Room | undefined): void => {
    if (room !== undefined) listener.touch(room.roomId)
  }
  const ofEvent = (event: MatrixEvent): void => {
    const roomId = event.getRoomId()
    if (roomId !== undefined) listener.touch(roomId)
  }
  const onTimeline = (
    event: MatrixEvent,
    room: Room | undefined,
    _toStart: boolean | undefined,
    _removed: boolean,
    data: IRoomTimelineData,
  ): void => {
    const isNews = data.liveEvent === true && client.isInitialSyncComplete()
    // Before the room is read again: the screen need not be drawn for what is not readable yet.
    if (isNews) void client.decryptEventIfNeeded(event)
    ofRoom(room)
    if (!isNews || room === undefined) return
    if (event.isEncrypted() && event.getClearContent() === null && !event.isDecryptionFailure()) {
      event.once(MatrixEventEvent.Decrypted, () => listener.arrived(event, room))
    } else listener.arrived(event, room)
  }
  const onEcho = (event: MatrixEvent): void => {
    ofEvent(event)
    listener.sent()
  }
  const onReceipt = (_event: MatrixEvent, room: Room): void => ofRoom(room)
  const onRedaction = (_event: MatrixEvent, room: Room): void => ofRoom(room)
  const onState = (_event: MatrixEvent, state: RoomState): void => listener.touch(state.roomId)
  const onTyping = (_event: MatrixEvent, member: RoomMember): void => listener.touch(member.roomId)

  client.on(ClientEvent.Room, ofRoom)
  client.on(RoomEvent.Timeline, onTimeline)
  client.on(RoomEvent.TimelineReset, ofRoom)
  client.on(RoomEvent.Name, ofRoom)
  client.on(RoomEvent.MyMembership, ofRoom)
  client.on(RoomEvent.LocalEchoUpdated, onEcho)
  client.on(RoomEvent.Redaction, onRedaction)
  client.on(RoomEvent.Receipt, onReceipt)
  client.on(RoomStateEvent.Events, onState)
  client.on(RoomMemberEvent.Typing, onTyping)
  client.on(MatrixEventEvent.Decrypted, ofEvent)
  client.on(MatrixEventEvent.Replaced, ofEvent)
  return () => {
    client.off(ClientEvent.Room, ofRoom)
    client.off(RoomEvent.Timeline, onTimeline)
    client.off(RoomEvent.TimelineReset, ofRoom)
    client.off(RoomEvent.Name, ofRoom)
    client.off(RoomEvent.MyMembership, ofRoom)
    client.off(RoomEvent.LocalEchoUpdated, onEcho)
    client.off(RoomEvent.Redaction, onRedaction)
    client.off(RoomEvent.Receipt, onReceipt)
    client.off(RoomStateEvent.Events, onState)
    client.off(RoomMemberEvent.Typing, onTyping)
    client.off(MatrixEventEvent.Decrypted, ofEvent)
    client.off(MatrixEventEvent.Replaced, ofEvent)
  }
}
