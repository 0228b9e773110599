/**
 * Requests in the shape of an operation, right ones and such as only a broken or hostile client makes. JSON is made as
 * text, since much of what is hostile has no value: keys that come twice, numbers out of range.
 */
import fc from 'fast-check'
import { ANYTHING, type Parameter, type RequestShape, type Shape } from './request-schemas.ts'

/**
 * What strings of a name may be, such as the rooms of the world for `roomId`; names in small letters without `_`. With a
 * `*` after them the keys of what has the name, with `{}` JSON texts of it; those after a template are bodies.
 */
export type Vocabulary = Readonly<Record<string, readonly string[]>>

/** How often something right is swapped: one in so many. */
const SWAPPED = 9
const LONG = 'a'.repeat(70_000)
/** Longer than any body may be. */
const ENDLESS = `{"a":"${'a'.repeat(4_200_000)}"}`
const MAX_SHOWN = 2_000
const MAX_ENTRIES = 3
const times = (count: number, text: string): string => Array.from({ length: count }, () => text).join(',')

/** The words of a text. */
const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '')

const WRONG_VALUES = words(String.raw`
  null true 0 -1 -0 1.5 1e400 -1e400 9007199254740992 -9007199254740993 "" [] {} [[]] [{}] {"":{}} {"a":1,"a":{"b":2}}
  [null] "\u0020" "x" "0" {"__proto__":{"a":1}} {"constructor":{"prototype":{}}} "__proto__" "toString" "\ud800"
  {"\udfff":"\ud800x"} "\u0000" "\u0001\u001f\u007f\n" "\u202e" "\ufeff" "@:" "!" "$" "#:" "mxc://" "mxc://a/../b"
  "@x:[::1]:99999" "@x:y" "../../x"
`)
const HUGE_VALUES = [
  `"${LONG}"`,
  `"@${LONG}:x"`,
  `{"${LONG}":1}`,
  `[${times(2_000, '0')}]`,
  `[${times(500, '{}')}]`,
  `{${Array.from({ length: 2_000 }, (_, index) => `"k${index}":{}`).join(',')}}`,
  `${'['.repeat(95)}${']'.repeat(95)}`,
  `${'{"a":'.repeat(95)}1${'}'.repeat(95)}`,
]
const wrongText = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...WRONG_VALUES) },
  { weight: 2, arbitrary: fc.constantFrom(...HUGE_VALUES) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => JSON.stringify(text)) },
)
const BROKEN_BODIES = [
  ...words(`{ {}} null [] "x" 1 NaN {a:1} a=b&c=d {'a':1} {"a":1,} {"a":Infinity} {"a":01}`),
  '',
  '\ufeff{}',
  '['.repeat(100_000),
  `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`,
  ENDLESS,
]
const brokenBody = fc.oneof(
  fc.constantFrom<string | Uint8Array<ArrayBuffer>>(...BROKEN_BODIES),
  fc.uint8Array({ maxLength: 40 }),
  // A string of bytes that are no UTF-8.
  fc.constant(Uint8Array.of(0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xc0, 0x22, 0x7d)),
)
/** As they stand in the address. */
const WRONG_PARTS = [
  ...words(
    '% %zz %ff %ed%a0%80 %00 %2e%2e %2F %252F %20 + null -1 0 1.5 NaN 9007199254740993 1e9 true %7B %7B%7D',
  ),
  ...words('%5B%5D __proto__ constructor %0d%0aX:y ; @x:y !x $x %23x:y * %f0%9f%98%80 %E2%80%AE'),
  'a'.repeat(5_000),
]
const wrongPart = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WRONG_PARTS) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => encodeURIComponent(text)),
  },
)

/** Prints itself, cut where it is huge. */
export class HostileRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer> | undefined
  constructor(
    method: string,
    target: string,
    headers: Readonly<Record<string, string>>,
    body: string | Uint8Array<ArrayBuffer> | undefined,
  ) {
    this.method = method
    this.target = target
    this.headers = headers
    this.body = body
  }
  toString(): string {
    const head = Object.entries(this.headers).map(([name, value]) => `${name}: ${value}`)
    const parts = [`${this.method} ${this.target}`, ...head, String(this.body ?? '')]
    return parts.map((part) => part.slice(0, MAX_SHOWN)).join('\n')
  }
  [fc.toStringMethod](): string {
    return this.toString()
  }
}

type Noise = 'calm' | 'noisy'

/** Empty once in `weight + 1` times. */
const mostly = (weight: number, arbitrary: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight, arbitrary }, { weight: 1, arbitrary: fc.constant('') })
/** Empty but once in `weight + 1` times. */
const seldom = (weight: number, arbitrary: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight, arbitrary: fc.constant('') }, { weight: 1, arbitrary })

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '')

/** `json` has the shapes of parameters of the path and query that are JSON themselves, by name. */
export function createHostileRequests(
  vocabulary: Vocabulary,
  json: Readonly<Record<string, Shape>> = {},
): (request: RequestShape, token: string) => fc.Arbitrary<HostileRequest> {
  const rightText = (name: string): fc.Arbitrary<string> => {
    const known = vocabulary[plain(name)] ?? []
    return known.length === 0 ? fc.string({ minLength: 1, maxLength: 12 }) : fc.constantFrom(...known)
  }
  const keyFor = (name: string): fc.Arbitrary<string> =>
    fc.constantFrom(...(vocabulary[`${plain(name)}*`] ?? ['a', 'b', 'm.x']))

  const objectText = (shape: Shape, name: string, noise: Noise): fc.Arbitrary<string> => {
    const known = Object.entries(shape.properties).map(([key, inner]) => {
      const isNeeded = shape.required.includes(key)
      const entry = jsonText(inner, key, noise).map((text) => `${JSON.stringify(key)}:${text}`)
      if (!isNeeded) return noise === 'calm' ? seldom(2, entry) : mostly(1, entry)
      return noise === 'calm' ? entry : mostly(8, entry)
    })
    const isFree = shape.additional !== undefined || (known.length === 0 && shape.types.includes('object'))
    const inner = jsonText(shape.additional ?? ANYTHING, `${name}*`, noise)
    const free = fc
      .array(
        fc.tuple(keyFor(name), inner).map(([key, text]) => `${JSON.stringify(key)}:${text}`),
        { maxLength: isFree ? MAX_ENTRIES : 0 },
      )
      .map((entries) => entries.join(','))
    const extra = seldom(
      5,
      fc
        .tuple(fc.string({ maxLength: 10 }), wrongText)
        .map(([key, text]) => `${JSON.stringify(key)}:${text}`),
    )
    const added = noise === 'calm' ? [free] : [free, extra]
    return fc
      .tuple(...known, ...added)
      .map((entries) => `{${entries.filter((entry) => entry !== '').join(',')}}`)
  }

  const rightJson = (shape: Shape, name: string, noise: Noise): fc.Arbitrary<string> => {
    const whole = vocabulary[`${plain(name)}{}`] ?? []
    const isOpen = Object.keys(shape.properties).length === 0 && shape.additional === undefined
    if (whole.length > 0 && (isOpen || name !== '') && !shape.types.includes('string'))
      return fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...whole) },
        { weight: 1, arbitrary: objectText(shape, name, noise) },
      )
    if (shape.values !== undefined)
      return fc.constantFrom(...shape.values.map((value) => JSON.stringify(value)))
    if (shape.choices !== undefined)
      return fc.oneof(...shape.choices.map((choice) => jsonText(choice, name, noise)))
    const [type] = shape.types
    if (type === 'array')
      return fc
        .array(jsonText(shape.items ?? ANYTHING, name, noise), { maxLength: MAX_ENTRIES })
        .map((items) => `[${items.join(',')}]`)
    if (type === 'boolean') return fc.constantFrom('true', 'false')
    if (type === 'integer' || type === 'number')
      return fc.oneof(fc.nat({ max: 120 }), fc.constantFrom(0, 1, 50, 100_000)).map(String)
    if (type === 'string') return rightText(name).map((text) => JSON.stringify(text))
    if (type === 'object' || Object.keys(shape.properties).length > 0) return objectText(shape, name, noise)
    return fc.json({ maxDepth: 2 })
  }

  function jsonText(shape: Shape, name: string, noise: Noise): fc.Arbitrary<string> {
    const right = rightJson(shape, name, noise)
    if (noise === 'calm') return right
    return fc.oneof({ weight: SWAPPED, arbitrary: right }, { weight: 1, arbitrary: wrongText })
  }

  const partText = ({ name, shape: whole }: Parameter, noise: Noise): fc.Arbitrary<string> => {
    // A list comes as a parameter that may stand there more than once.
    const shape = whole.types[0] === 'array' ? (whole.items ?? ANYTHING) : whole
    const [type] = shape.types
    const asJson = json[name]
    if (asJson !== undefined)
      return fc
        .oneof(jsonText(asJson, name, 'noisy'), rightText(name))
        .map((text) => encodeURIComponent(text.toWellFormed()))
    const isText = type === 'string' && shape.values === undefined
    const right = isText
      ? rightText(name)
      : rightJson(shape, name, 'calm').map((text) => text.replaceAll('"', ''))
    const encoded = right.map((text) => encodeURIComponent(text.toWellFormed()))
    if (noise === 'calm') return encoded
    return fc.oneof({ weight: SWAPPED, arbitrary: encoded }, { weight: 1, arbitrary: wrongPart })
  }

  const pathText = ({ template, path }: RequestShape, noise: Noise): fc.Arbitrary<string> =>
    fc.tuple(...path.map((parameter) => partText(parameter, noise))).map((values) => {
      const byName = new Map(path.map(({ name }, index) => [name, values[index] ?? '']))
      return template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => byName.get(name) ?? 'x')
    })

  const queryText = ({ query }: RequestShape, noise: Noise): fc.Arbitrary<string> => {
    const entries = query.map((parameter) => {
      const one = partText(parameter, noise).map((text) => `${parameter.name}=${text}`)
      if (noise === 'calm') return parameter.required ? one : seldom(1, one)
      const often = fc.oneof(
        { weight: 12, arbitrary: one },
        { weight: 1, arbitrary: fc.tuple(one, one).map((both) => both.join('&')) },
        { weight: 1, arbitrary: fc.constant(`${parameter.name}=`) },
        { weight: 1, arbitrary: fc.constant(parameter.name) },
      )
      return mostly(parameter.required ? 12 : 1, often)
    })
    const extra = seldom(
      noise === 'calm' ? 1_000 : 6,
      fc.oneof(
        wrongPart.map((text) => `x=${text}`),
        wrongPart.map((text) => `${text}=1&&=`),
        fc.constant(times(300, 'x').replaceAll(',', '=1&')),
      ),
    )
    return fc.tuple(...entries, extra).map((texts) => texts.filter((text) => text !== '').join('&'))
  }

  const bodyOf = ({ body, method, template }: RequestShape): fc.Arbitrary<HostileRequest['body']> => {
    if (method === 'GET') return fc.constant(undefined)
    if (body === 'bytes') return fc.oneof(brokenBody, fc.uint8Array({ maxLength: 2_000 }))
    const shape = body ?? ANYTHING
    const whole = vocabulary[`${template}{}`] ?? []
    return fc.oneof(
      { weight: whole.length, arbitrary: fc.constantFrom(...whole, '{}') },
      { weight: 4, arbitrary: rightJson(shape, '', 'calm') },
      { weight: 8, arbitrary: rightJson(shape, '', 'noisy') },
      { weight: 1, arbitrary: brokenBody },
    )
  }

  const headersFor = (token: string): fc.Arbitrary<Record<string, string>> => {
    const tokens = ['', 'Bearer', 'Bearer x', `Bearer ${LONG}`, `Basic ${token}`, `Bearer ${token} ${token}`]
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/json; charset=utf-16',
      'x',
    ]
    return fc.record({
      Authorization: fc.oneof(
        { weight: 40, arbitrary: fc.constant(`Bearer ${token}`) },
        { weight: 1, arbitrary: fc.constantFrom(...tokens) },
      ),
      'Content-Type': fc.oneof(
        { weight: 8, arbitrary: fc.constant('application/json') },
        { weight: 1, arbitrary: fc.constantFrom(...types) },
      ),
    })
  }

  const targetOf = (request: RequestShape, noise: Noise): fc.Arbitrary<string> =>
    fc
      .tuple(pathText(request, noise), queryText(request, noise))
      .map(([path, query]) => (query === '' ? path : `${path}?${query}`))

  return (request, token) => {
    const target = fc.oneof(
      { weight: 2, arbitrary: targetOf(request, 'calm') },
      { weight: request.method === 'GET' ? 2 : 1, arbitrary: targetOf(request, 'noisy') },
    )
    return fc
      .tuple(target, headersFor(token), bodyOf(request))
      .map(([to, headers, body]) => new HostileRequest(request.method, to, headers, body))
  }
}
