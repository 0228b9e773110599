/** The user interface on fixtures, to be looked at: `?scene=<name>` chooses what is shown. */
import { render } from 'preact'
import { App } from '../src/ui/app.tsx'
import { startRouter } from '../src/ui/router.ts'
import { startTheme } from '../src/ui/theme.ts'
import '../src/ui/styles/index.css'
import { scene } from './scenes.ts'

const root = document.getElementById('app')
if (root === null) throw new Error('demo/index.html has no #app')
startTheme()
const name = new URLSearchParams(location.search).get('scene') ?? 'room'
const app = scene(name)
startRouter()
render(<App app={app} />, root)
