import './style/colours.css';
import './style/text.css';
import './style/layout.css';
import './style/controls.css';
import './style/parts.css';
import './style/code.css';

import { render } from 'preact';

import { App } from './App';
import { language, speak } from './i18n';
import { apply } from './state/theme';

apply();
speak(language.value);
const root = document.getElementById('app');
if (root) render(<App />, root);
