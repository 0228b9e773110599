import { DecryptionFailureCode } from './sdk.ts'

/** Why a message cannot be read, and what helps, in words for the user. */
export function unreadableWhy(code: DecryptionFailureCode | null): string {
  switch (code) {
    case DecryptionFailureCode.MEGOLM_UNKNOWN_INBOUND_SESSION_ID:
    case DecryptionFailureCode.OLM_UNKNOWN_MESSAGE_INDEX:
      return 'The key of this message has not arrived yet. It may come when its sender is online.'
    case DecryptionFailureCode.MEGOLM_KEY_WITHHELD:
    case DecryptionFailureCode.MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE:
      return 'Its sender did not give this browser the key.'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_USER_NOT_JOINED:
      return 'Sent before you joined, so not meant for this browser.'
    case DecryptionFailureCode.HISTORICAL_MESSAGE_NO_KEY_BACKUP:
    case DecryptionFailureCode.HISTORICAL_MESSAGE_BACKUP_UNCONFIGURED:
    case DecryptionFailureCode.HISTORICAL_MESSAGE_WORKING_BACKUP:
      return 'Sent before this browser had the account, so its key is not here. An export of the old browser has it.'
    case DecryptionFailureCode.SENDER_IDENTITY_PREVIOUSLY_VERIFIED:
    case DecryptionFailureCode.UNSIGNED_SENDER_DEVICE:
    case DecryptionFailureCode.UNKNOWN_SENDER_DEVICE:
      return 'It cannot be told who sent this, so it is not shown.'
    default:
      return 'This message cannot be decrypted.'
  }
}
