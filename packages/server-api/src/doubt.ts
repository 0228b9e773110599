/** How nodes tell each other that they have the state of a room from one other alone, and nobody confirmed it yet. */
import * as v from 'valibot'

type DoubtSchema = v.OptionalSchema<v.LiteralSchema<true, undefined>, undefined>

/** Of the schema of an answer. */
export const DOUBT: { readonly 'plexus.unconfirmed': DoubtSchema } = {
  'plexus.unconfirmed': v.optional(v.literal(true)),
}

export type Doubt = { readonly isUnconfirmed?: true }

export function doubtField({ isUnconfirmed }: Doubt): { readonly 'plexus.unconfirmed'?: true } {
  return isUnconfirmed === undefined ? {} : { 'plexus.unconfirmed': isUnconfirmed }
}

export function doubtIn(answer: { readonly 'plexus.unconfirmed'?: true | undefined }): Doubt {
  return answer['plexus.unconfirmed'] === undefined ? {} : { isUnconfirmed: true }
}
