import { describe, expect, it } from 'vitest'
import { factsOf, MAX_DEPTH, MAX_TEXT_LENGTH } from './page-facts.ts'

const propertiesOf = async (html: string): Promise<Readonly<Record<string, string>>> =>
  (await factsOf(html)).properties

describe('the facts of a page', () => {
  it('are its Open Graph properties, decoded and in one line', async () => {
    const html = `<!doctype html><html><head><title>no</title>
      <META PROPERTY="og:title" CONTENT="Tom &amp;  Jerry\n\u202eA">
      <meta property='og:title' content=second>
      <meta name="og:description" content="A &lt;b&gt; cat"><meta property="og:site_name" content=Films>
      <meta property="og:video" content="https://example.org/v"><meta property="og:empty" content="">
      <meta property="og:image" content="/a.png"><meta property="og:image:alt" content="both">`
    expect(await factsOf(html)).toEqual({
      properties: {
        'og:title': 'Tom & Jerry A',
        'og:description': 'A <b> cat',
        'og:site_name': 'Films',
        'og:image:alt': 'both',
      },
      picture: '/a.png',
    })
  })

  it('are looked for elsewhere where those are missing', async () => {
    const html = `<head><base href="https://cdn.example/"><meta name="twitter:description" content="t">
      <meta name=description content=d><title> The &eacute;tude </title>
      <link rel="shortcut icon" href=i.png><link rel="apple-touch-icon" href="big.png"></head>
      <svg><title>circle</title></svg><h1>Head</h1>`
    expect(await factsOf(html)).toEqual({
      properties: { 'og:title': 'The étude', 'og:description': 't' },
      picture: 'big.png',
      base: 'https://cdn.example/',
    })
    expect((await propertiesOf('<h1>Head <i>line</i></h1><title></title>'))['og:title']).toBe('Head line')
    expect(await propertiesOf('<p>Menu</p><script>var a="<p>no"</script><p>Long <b>text</b>.</p>')).toEqual({
      'og:description': 'Menu Long text.',
    })
    expect(await factsOf('')).toEqual({ properties: {} })
  })

  it('have no say over the names of what is passed on', async () => {
    const html = `<meta property="__proto__" content="a"><meta property="<title>" content="b">
      <meta property="constructor" content="c"><link rel="><" href=x>`
    expect(await factsOf(html)).toEqual({ properties: {} })
  })

  it('are bounded', async () => {
    const long = 'x'.repeat(100_000)
    expect(await propertiesOf(`<title>${long}</title><meta name=description content="${long}">`)).toEqual({
      'og:title': 'x'.repeat(MAX_TEXT_LENGTH),
      'og:description': 'x'.repeat(MAX_TEXT_LENGTH),
    })
  })

  it('of a hostile page come in time', async () => {
    const begun = performance.now()
    expect(
      await propertiesOf(`${'<b>'.repeat(170_000)}${'</i>'.repeat(128_000)}<title>late</title>`),
    ).toEqual({})
    await propertiesOf(`${'<b>'.repeat(MAX_DEPTH - 100)}${'</i>'.repeat(250_000)}`)
    await propertiesOf('<'.repeat(1_000_000))
    await propertiesOf(`<meta ${'a '.repeat(500_000)}>`)
    await propertiesOf(`<p>${'&amp;'.repeat(200_000)}`)
    await propertiesOf(`<meta content="${' '.repeat(1_000_000)}`)
    expect(performance.now() - begun).toBeLessThan(5_000)
  })
})
