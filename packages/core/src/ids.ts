/**
 * Branded identifiers. A brand means: parsed by the function of the same name here, or made by this node.
 * spec: appendices.md "Common Identifier Format"
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type ServerName = Branded<'ServerName'>
export type UserId = Branded<'UserId'>
export type RoomId = Branded<'RoomId'>
export type EventId = Branded<'EventId'>
export type RoomAlias = Branded<'RoomAlias'>
/** Signing key identifier, `ed25519:<version>`. */
export type KeyId = Branded<'KeyId'>
export type DeviceId = Branded<'DeviceId'>
