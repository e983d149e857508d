import fsExt from 'fs-ext';
import { fsExtAdapter } from './fs-ext-adapter.mjs';

export default fsExtAdapter('fs-ext', fsExt);
