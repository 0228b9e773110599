import { render } from 'preact'
import { createApp } from './page/app-model.ts'
import { App } from './ui/app.tsx'
import { startRouter } from './ui/router.ts'
import './ui/styles/index.css'
import { startTheme } from './ui/theme.ts'

const root = document.getElementById('app')
if (root === null) throw new Error('the page has no #app')
startTheme()
startRouter()
const app = createApp()
render(<App app={app} />, root)
app.start().catch(reportError)
