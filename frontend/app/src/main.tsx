import './style.css';

import { render } from 'preact';

import { App } from './App';
import { language, speak } from './i18n';
import { apply } from './state/theme';

apply();
speak(language.value);
const root = document.getElementById('app');
if (root) render(<App />, root);
