/** State changes in words. */
import type { MatrixEvent } from './sdk.ts'

const MAX_NAME = 100

export interface NoticeContext {
  readonly me: string
  nameOf(userId: string): string
}

/** `undefined` for state that tells a reader nothing. */
export function noticeText(event: MatrixEvent, context: NoticeContext): string | undefined {
  const who = subject(event.getSender() ?? '', context)
  const content: Readonly<Record<string, unknown>> = event.getContent()
  switch (event.getType()) {
    case 'm.room.create':
      return `${who} made this room`
    case 'm.room.encryption':
      return 'From here on messages are end-to-end encrypted'
    case 'm.room.name':
      return nameChange(who, content['name'])
    case 'm.room.topic':
      return `${who} changed the topic`
    case 'm.room.member':
      return memberChange(event, who, context)
    default:
      return undefined
  }
}

function nameChange(who: string, name: unknown): string {
  return typeof name === 'string' && name !== ''
    ? `${who} named the room “${shown(name)}”`
    : `${who} took the room’s name away`
}

function memberChange(event: MatrixEvent, who: string, context: NoticeContext): string | undefined {
  const target = event.getStateKey() ?? ''
  const self = target === event.getSender()
  const name = subject(target, context)
  const object = target === context.me ? 'you' : name
  const before: unknown = event.getPrevContent()['membership']
  switch (event.getContent()['membership']) {
    case 'join':
      return before === 'join' ? profileChange(event) : `${name} joined`
    case 'invite':
      return `${who} invited ${object}`
    case 'leave':
      if (self) return before === 'invite' ? `${name} refused the invitation` : `${name} left`
      return before === 'invite' ? `${who} took back the invitation of ${object}` : `${who} removed ${object}`
    case 'ban':
      return `${who} banned ${object}`
    case 'knock':
      return `${name} asks to join`
    default:
      return undefined
  }
}

function profileChange(event: MatrixEvent): string | undefined {
  const before: unknown = event.getPrevContent()['displayname']
  const after: unknown = event.getContent()['displayname']
  if (typeof before !== 'string' || typeof after !== 'string' || before === after) return undefined
  return `${shown(before)} is called ${shown(after)}`
}

function subject(userId: string, context: NoticeContext): string {
  return userId === context.me ? 'You' : context.nameOf(userId)
}

function shown(text: string): string {
  return text.slice(0, MAX_NAME).toWellFormed()
}
