import type { DeliveryState, MessageContent } from './model.ts'

/** A message in one line of words: for the room list, replies, notifications and screen readers. */
export function spokenText(content: MessageContent): string {
  switch (content.kind) {
    case 'text':
      return content.text
    case 'image':
      return `Image: ${content.name}`
    case 'file':
      return `File: ${content.name}`
    case 'unreadable':
      return 'A message that cannot be read yet'
    default:
      return 'Message removed'
  }
}

/** The delivery state of an own message in words; these are also the values of `data-delivery`. */
export function deliveryWords(delivery: DeliveryState): string {
  switch (delivery.kind) {
    case 'received':
      return 'received'
    case 'sending':
      return 'sending'
    case 'failed':
      return 'failed'
    default:
      return sentWords(delivery)
  }
}

function sentWords({ reached, atRelay, members }: Extract<DeliveryState, { kind: 'sent' }>): string {
  if (members > 0 && reached >= members) return 'delivered'
  if (reached > 0) return `delivered to ${reached} of ${members}`
  if (atRelay === 0) return 'on this device'
  return atRelay >= members ? 'at relay' : `at relay for ${atRelay} of ${members}`
}
