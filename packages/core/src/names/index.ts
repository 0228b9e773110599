export { isSoundPublicKey, precheckSignature, verifyEd25519 } from '../ed25519.ts'
export * from './account-record.ts'
export * from './alias-record.ts'
export * from './certificate.ts'
export * from './device-record.ts'
export { isCount } from './domain.ts'
export * from './envelope.ts'
export * from './gossip.ts'
export * from './key-document.ts'
export * from './listing-record.ts'
export * from './mail.ts'
export {
  canMeet,
  isBareName,
  isKeyName,
  keyOfName,
  KEY_LABEL_LENGTH,
  meetsDirectly,
  nameOfKey,
} from './names.ts'
export {
  MAX_RECORD_BYTES,
  type RecordFailure,
  type RecordHead,
  type RecordKind,
  type SignedRecord,
} from './record.ts'
export * from './published.ts'
export * from './request.ts'
export * from './reserved-ipv4.ts'
export * from './shelf-record.ts'
